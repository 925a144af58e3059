#include "nodes/lib/tensor/device/side_stream.h"

#include <c10/core/Event.h>
#include <c10/core/StreamGuard.h>
#include <exception>
#include <optional>

#include "nodes/lib/tensor/device/recording.h"

namespace flowrun {
namespace {

/// One per submitting thread, and so one per device.
struct Side {
  c10::Stream stream;
  std::shared_ptr<c10::Event> last;  // the newest work
};

std::optional<Side>& side() {
  static thread_local std::optional<Side> side;
  return side;
}

c10::Stream current(at::Device device) { return c10::impl::VirtualGuardImpl(device.type()).getStream(device); }

/// The device with its index, which tensors have and settings may lack.
at::Device numbered(at::Device device) {
  return device.has_index() ? device : at::Device(device.type(), c10::impl::VirtualGuardImpl(device.type()).getDevice().index());
}

std::shared_ptr<c10::Event> recorded(const c10::Stream& stream) {
  auto event = std::make_shared<c10::Event>(stream.device_type());
  event->record(stream);
  return event;
}

}  // namespace

struct SideStream::Guard {
  explicit Guard(const c10::Stream& side) : stream(side) {}
  c10::StreamGuard stream;
};

void Arrival::wait(const Tensor& made) const {
  if (!event_ || recording_ != recording::number()) return;
  const c10::Stream here = current(made.device());
  event_->block(here);
  made.record_stream(here);
}

SideStream::SideStream(at::Device device, const std::vector<Tensor>& reads) {
  if (device.is_cpu()) return;
  const at::Device at = numbered(device);
  if (!side()) side().emplace(Side{c10::impl::VirtualGuardImpl(at.type()).getStreamFromGlobalPool(at), nullptr});
  recorded(current(at))->block(side()->stream);
  for (const Tensor& tensor : reads) tensor.record_stream(side()->stream);
  guard_ = std::make_unique<Guard>(side()->stream);
}

/// Failed work is waited for like successful work.
SideStream::~SideStream() {
  try {
    if (!arrived_) arrival();
  } catch (const std::exception&) {  // the device is lost: the next call reports it
  }
}

Arrival SideStream::arrival() {
  Arrival out;
  if (guard_) {
    out.event_ = side()->last = recorded(side()->stream);
    out.recording_ = recording::number();
  }
  arrived_ = true;
  return out;
}

void SideStream::join(at::Device device) {
  if (!device.is_cpu() && side() && side()->last) side()->last->block(current(numbered(device)));
}

void SideStream::forget() {
  if (side()) side()->last = nullptr;
}

struct CopyStream::Guard {
  explicit Guard(const c10::Stream& copies) : stream(copies) {}
  c10::StreamGuard stream;
};

CopyStream::CopyStream(at::Device device) {
  if (device.is_cpu()) return;
  static thread_local std::optional<c10::Stream> copies;
  if (!copies) copies = c10::impl::VirtualGuardImpl(device.type()).getStreamFromGlobalPool(numbered(device));
  guard_ = std::make_unique<Guard>(*copies);
}

CopyStream::~CopyStream() = default;

void CopyStream::end(const std::vector<Tensor>& copied) {
  if (!guard_) return;
  const c10::Stream copies = guard_->stream.current_stream();
  const auto done = recorded(copies);
  guard_.reset();
  const c10::Stream here = current(copies.device());
  done->block(here);
  for (const Tensor& tensor : copied) {
    if (tensor.defined()) tensor.record_stream(here);
  }
}

}  // namespace flowrun
