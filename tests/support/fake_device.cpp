#include "support/fake_device.h"

#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/core/stack.h>
#include <ATen/ops/from_blob.h>
#include <algorithm>
#include <c10/core/impl/DeviceGuardImplInterface.h>
#include <cstdlib>
#include <map>
#include <torch/library.h>

#include "nodes/lib/host/device/host_memory.h"

namespace flowrun::test {

constexpr auto fake = c10::DeviceType::PrivateUse1;

Diary& diary() {
  static Diary diary;
  return diary;
}

c10::Device fake_device() { return {fake, 0}; }

Tensor on_fake(const Tensor& host) {
  return at::for_blob(host.data_ptr(), host.sizes())
      .strides(host.strides())
      .deleter([host](void*) {})
      .options(host.options().device(fake_device()))
      .target_device(fake_device())
      .make_tensor();
}

namespace {

std::string name(c10::StreamId stream) { return stream == 0 ? "main" : "side"; }

struct FakeGuard final : c10::impl::DeviceGuardImplInterface {
  c10::DeviceType type() const override { return fake; }
  c10::Device exchangeDevice(c10::Device device) const override { return device; }
  c10::Device getDevice() const override { return fake_device(); }
  void setDevice(c10::Device) const override {}
  void uncheckedSetDevice(c10::Device) const noexcept override {}
  c10::Stream getStream(c10::Device device) const override { return c10::Stream(c10::Stream::UNSAFE, device, diary().stream); }
  c10::Stream getStreamFromGlobalPool(c10::Device device, bool) const override { return c10::Stream(c10::Stream::UNSAFE, device, 7); }
  c10::Stream exchangeStream(c10::Stream stream) const override {
    const c10::Stream before = getStream(stream.device());
    diary().stream = stream.id();
    return before;
  }
  c10::DeviceIndex deviceCount() const noexcept override { return 1; }
  void record(void** event, const c10::Stream& stream, c10::DeviceIndex, c10::EventFlag) const override {
    *event = reinterpret_cast<void*>(++diary().events);
    diary().lines.push_back(name(stream.id()) + " records " + std::to_string(diary().events));
  }
  void block(void* event, const c10::Stream& stream) const override {
    diary().lines.push_back(name(stream.id()) + " waits for " + std::to_string(reinterpret_cast<int64_t>(event)));
  }
  bool queryEvent(void* event) const override {
    if (diary().busy > 0) {
      --diary().busy;
      return false;
    }
    diary().lines.push_back("host sees the end of " + std::to_string(reinterpret_cast<int64_t>(event)));
    return true;
  }
  void synchronizeEvent(void* event) const override { diary().lines.push_back("host waits for " + std::to_string(reinterpret_cast<int64_t>(event))); }
  void destroyEvent(void*, c10::DeviceIndex) const noexcept override {}
};
C10_REGISTER_GUARD_IMPL(PrivateUse1, FakeGuard);

Tensor on_host(const Tensor& tensor) {
  if (!tensor.defined() || tensor.device().type() != fake) return tensor;
  return at::from_blob(
      tensor.data_ptr(), tensor.sizes(), tensor.strides(), [tensor](void*) {}, tensor.options().device(at::kCPU));
}

void record_stream(at::Tensor& tensor, c10::Stream stream) {
  diary().lines.push_back(std::to_string(tensor.size(0)) + " used on " + name(stream.id()));
}

/// Page-locked blocks, in use or free.
struct Block {
  size_t bytes;
  bool in_use;
};
std::map<void*, Block>& blocks() {
  static std::map<void*, Block> blocks;
  return blocks;
}

bool is_read(const void* memory) {
  return std::any_of(diary().copies.begin(), diary().copies.end(), [&](const Diary::Copy& copy) { return copy.from == memory; });
}

void* allocate(size_t bytes) {
  for (auto& [memory, block] : blocks()) {
    if (block.in_use || block.bytes != bytes || is_read(memory)) continue;
    block.in_use = true;
    return memory;
  }
  void* const memory = std::malloc(bytes);
  blocks()[memory] = {bytes, true};
  return memory;
}

bool free_block(void* memory) {
  const auto found = blocks().find(memory);
  if (found == blocks().end()) return false;
  found->second.in_use = false;
  return true;
}

at::Tensor& copy(at::Tensor& to, const at::Tensor& from, bool non_blocking) {
  const std::string stream = name(diary().stream);
  if (to.is_cpu()) diary().lines.push_back(stream + " copies to the host" + (non_blocking ? "" : ", which waits"));
  const bool pinned = from.is_cpu() && blocks().count(const_cast<void*>(from.const_data_ptr())) > 0;
  if (from.is_cpu() && !to.is_cpu()) diary().lines.push_back(stream + " copies from the host" + (non_blocking && pinned ? "" : ", which waits"));
  if (!diary().copies_later || !pinned || !non_blocking) {
    on_host(to).copy_(on_host(from));
    return to;
  }
  const Tensor source = at::from_blob(const_cast<void*>(from.const_data_ptr()), from.sizes(), from.strides(), from.options());
  diary().copies.push_back({source.const_data_ptr(), [to, source] { on_host(to).copy_(source); }});
  return to;
}

TORCH_LIBRARY_IMPL(aten, PrivateUse1, library) {
  library.impl("record_stream", record_stream);
  library.impl("copy_", copy);
}

at::Scalar value(const at::Tensor& tensor) {
  diary().lines.push_back("host looks at a value, which waits");
  return on_host(tensor).item();
}
TORCH_LIBRARY_IMPL(aten, PrivateUse1, library) { library.impl("_local_scalar_dense", value); }

/// Everything else is done on the host.
void compute(const c10::OperatorHandle& operation, torch::jit::Stack* stack) {
  for (auto at = stack->end() - static_cast<std::ptrdiff_t>(operation.schema().arguments().size()); at != stack->end(); ++at) {
    c10::IValue& argument = *at;
    if (argument.isTensor()) argument = on_host(argument.toTensor());
    if (argument.isDevice() && argument.toDevice().type() == fake) argument = c10::Device(at::kCPU);
    if (!argument.isTensorList()) continue;
    c10::List<Tensor> list;
    for (const Tensor& tensor : argument.toTensorVector()) list.push_back(on_host(tensor));
    argument = list;
  }
  c10::Dispatcher::singleton().callBoxed(operation, stack);
  for (auto at = stack->end() - static_cast<std::ptrdiff_t>(operation.schema().returns().size()); at != stack->end(); ++at) {
    if (at->isTensor()) *at = on_fake(at->toTensor());
  }
}
TORCH_LIBRARY_IMPL(_, AutocastPrivateUse1, library) { library.fallback(torch::CppFunction::makeFallthrough()); }
TORCH_LIBRARY_IMPL(_, PrivateUse1, library) { library.fallback(torch::CppFunction::makeFromBoxedFunction<&compute>()); }

}  // namespace

void do_copies() {
  const std::vector<Diary::Copy> copies = std::move(diary().copies);
  diary().copies.clear();
  for (const Diary::Copy& copy : copies) copy.work();
}

int64_t host_waits() {
  return std::count_if(diary().lines.begin(), diary().lines.end(), [](const std::string& line) { return line.ends_with(", which waits"); });
}

FakePinnedMemory::FakePinnedMemory() {
  static const PinnedMemory memory = {allocate, free_block};
  pinned_memory() = &memory;
}

FakePinnedMemory::~FakePinnedMemory() {
  for (const auto& [memory, block] : blocks()) std::free(memory);
  blocks().clear();
  pinned_memory() = nullptr;
}

}  // namespace flowrun::test
