#include "nodes/lib/tensor/device/pace.h"

#include <c10/core/Event.h>
#include <c10/core/impl/VirtualGuardImpl.h>
#include <chrono>
#include <thread>

namespace flowrun {

Pace::Pace(size_t ahead) : ahead_(ahead) {}
Pace::Pace(Pace&&) noexcept = default;
Pace& Pace::operator=(Pace&&) noexcept = default;
Pace::~Pace() = default;

void Pace::submitted(at::Device device) {
  if (device.is_cpu()) return;
  const c10::impl::VirtualGuardImpl guard(device.type());
  auto end = std::make_unique<c10::Event>(device.type());
  end->record(guard.getStream(device.has_index() ? device : guard.getDevice()));
  ends_.push_back(std::move(end));
  for (; ends_.size() > ahead_; ends_.pop_front()) {
    while (!ends_.front()->query()) std::this_thread::sleep_for(std::chrono::microseconds(50));
  }
}

}  // namespace flowrun
