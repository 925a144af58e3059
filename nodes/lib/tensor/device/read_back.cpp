#include "nodes/lib/tensor/device/read_back.h"

#include <ATen/ops/from_blob.h>
#include <c10/core/Event.h>
#include <c10/core/impl/VirtualGuardImpl.h>
#include <exception>

namespace flowrun {

ReadBack::ReadBack(const Tensor& values) {
  if (values.is_cpu()) {
    host_ = values;
    return;
  }
  bytes_.resize(values.nbytes());
  host_ = at::from_blob(bytes_.data(), values.sizes(), at::TensorOptions(values.scalar_type()));
  host_.copy_(values, /*non_blocking=*/true);
  event_ = std::make_unique<c10::Event>(values.device().type());
  event_->record(c10::impl::VirtualGuardImpl(values.device().type()).getStream(values.device()));
}

/// Waits, because the device must not write to memory that has a new owner by then.
ReadBack::~ReadBack() {
  try {
    values();
  } catch (const std::exception&) {  // the device is lost: the next call reports it
  }
}

const Tensor& ReadBack::values() {
  if (event_) event_->synchronize();
  event_.reset();
  return host_;
}

}  // namespace flowrun
