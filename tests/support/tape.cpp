// A plug-in that records on the CPU, so that everything around CUDA graphs runs without a GPU: each operation that
// LibTorch's dispatcher sees, and each kernel of nodes/lib/tensor/kernels, is logged with the memory it reads and writes, and
// repeated on that memory when the tape is played. As on a GPU, the host can't read values meanwhile.
//
// FLOWRUN_TAPE: "fails" (a tape can't be played), "forgets" (its last steps are missing); FLOWRUN_TAPES: how many are kept.
#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/core/grad_mode.h>
#include <c10/core/impl/LocalDispatchKeySet.h>
#include <cstdlib>
#include <set>
#include <stdexcept>
#include <torch/library.h>

#include "nodes/lib/tensor/device/recording.h"
#include "nodes/lib/tensor/kernels/cpu.h"

namespace flowrun {
namespace {

constexpr auto key = c10::DispatchKey::TESTING_ONLY_GenericMode;

std::string mode() {
  const char* const value = std::getenv("FLOWRUN_TAPE");
  return value == nullptr ? "" : value;
}

struct Tape {
  std::vector<std::function<void()>> steps;
  std::vector<Tensor> kept;  // memory that steps use
};
thread_local Tape* tape = nullptr;

/// The same memory, without the history of gradients.
c10::IValue detached(const c10::IValue& value) {
  const auto plain = [](const Tensor& x) { return x.defined() ? x.detach() : x; };
  if (value.isTensor()) return plain(value.toTensor());
  if (value.isTensorList()) {
    c10::List<Tensor> out;
    for (const Tensor& x : value.toTensorVector()) out.push_back(plain(x));
    return out;
  }
  if (value.isOptionalTensorList()) {
    c10::List<std::optional<Tensor>> out;
    for (const std::optional<Tensor>& x : value.toOptionalTensorVector()) out.push_back(x ? std::optional(plain(*x)) : std::nullopt);
    return out;
  }
  return value;
}

void collect(const c10::IValue& value, std::vector<Tensor>& out) {
  if (value.isTensor() && value.toTensor().defined()) out.push_back(value.toTensor());
  if (!value.isTensorList()) return;
  for (const Tensor& x : value.toTensorVector()) out.push_back(x);
}

bool is_new_memory(const std::string& name) {
  static const std::set<std::string> names = {"aten::empty",         "aten::empty_like", "aten::new_empty",
                                              "aten::empty_strided", "aten::detach",     "aten::new_empty_strided"};
  return names.count(name) > 0;
}

void write(const c10::OperatorHandle& op, c10::DispatchKeySet keys, torch::jit::Stack* stack) {
  const auto rest = keys & c10::DispatchKeySet(c10::DispatchKeySet::FULL_AFTER, key);
  const std::string& name = op.schema().name();
  // Made of other operations, which come here one by one.
  if (tape == nullptr || op.hasKernelForDispatchKey(c10::DispatchKey::CompositeImplicitAutograd)) return op.redispatchBoxed(rest, stack);
  if (name == "aten::_local_scalar_dense" || name == "aten::equal" || name == "aten::is_nonzero") {
    throw std::runtime_error("the host looks at a value while work is recorded (" + name + ")");
  }
  const c10::impl::ExcludeDispatchKeyGuard off(key);
  const size_t count = op.schema().arguments().size();
  std::vector<c10::IValue> arguments;
  for (size_t i = stack->size() - count; i < stack->size(); ++i) arguments.push_back(detached((*stack)[i]));
  op.redispatchBoxed(rest, stack);
  std::vector<Tensor> outputs;
  for (size_t i = stack->size() - op.schema().returns().size(); i < stack->size(); ++i) collect(detached((*stack)[i]), outputs);
  if (is_new_memory(name)) return void(tape->kept.insert(tape->kept.end(), outputs.begin(), outputs.end()));
  tape->steps.emplace_back([op, arguments, outputs] {
    torch::jit::Stack again(arguments.begin(), arguments.end());
    op.callBoxed(again);
    std::vector<Tensor> made;
    for (const c10::IValue& value : again) collect(value, made);
    for (size_t i = 0; i < outputs.size(); ++i) {
      if (made.at(i).data_ptr() != outputs[i].data_ptr()) outputs[i].copy_(made[i]);
    }
  });
}

TORCH_LIBRARY_IMPL(_, TESTING_ONLY_GenericMode, library) { library.fallback(torch::CppFunction::makeFromBoxedFunction<&write>()); }

template <auto kernel>
struct Both;
template <class Work, void (*kernels::Backend::*kernel)(const Work&)>
struct Both<kernel> {
  static void run(const Work& work) {
    (kernels::cpu_backend().*kernel)(work);
    if (tape != nullptr) tape->steps.emplace_back([work] { (kernels::cpu_backend().*kernel)(work); });
  }
};

class Played final : public Recording {
 public:
  explicit Played(std::unique_ptr<Tape> tape) : tape_(std::move(tape)) {}
  void play() override {
    const at::NoGradGuard no_grad;
    for (const auto& step : tape_->steps) step();
  }

 private:
  std::unique_ptr<Tape> tape_;
};

class Tapes final : public recording::Recorder {
 public:
  void begin() override {
    writing_ = std::make_unique<Tape>();
    tape = writing_.get();
    c10::impl::tls_set_dispatch_key_included(key, true);
  }
  std::unique_ptr<Recording> end() override {
    c10::impl::tls_set_dispatch_key_included(key, false);
    tape = nullptr;
    if (mode() == "fails") throw std::runtime_error("this tape can't be played");
    if (mode() == "forgets") writing_->steps.resize(writing_->steps.size() / 2);
    return std::make_unique<Played>(std::move(writing_));
  }
  bool works_meanwhile() const override { return true; }
  size_t capacity() const override {
    const char* const value = std::getenv("FLOWRUN_TAPES");
    return value == nullptr ? Recorder::capacity() : std::stoul(value);
  }

 private:
  std::unique_ptr<Tape> writing_;
};

const bool registered = [] {
  using kernels::Backend;
  static const Backend backend = {Both<&Backend::target_rows>::run,
                                  Both<&Backend::patch_rows>::run,
                                  Both<&Backend::normalise>::run,
                                  Both<&Backend::squared_error>::run,
                                  Both<&Backend::squared_error_gradient>::run,
                                  Both<&Backend::add_norm>::run,
                                  Both<&Backend::add_norm_backward>::run,
                                  Both<&Backend::bias_gelu>::run,
                                  Both<&Backend::bias_gelu_backward>::run,
                                  Both<&Backend::attention>::run,
                                  Both<&Backend::attention_backward>::run};
  kernels::instead_of_cpu_backend = &backend;
  static Tapes tapes;
  recording::register_recorder("cpu", tapes);
  return true;
}();

}  // namespace
}  // namespace flowrun
