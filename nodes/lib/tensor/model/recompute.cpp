#include "nodes/lib/tensor/model/recompute.h"

#include <ATen/autocast_mode.h>
#include <ATen/core/grad_mode.h>
#include <ATen/core/ivalue.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/custom_function.h>
#include <utility>

namespace flowrun::model {
namespace {

using torch::autograd::AutogradContext, torch::autograd::variable_list;

/// Autocast of a device on this thread while it lives: a backward pass on a GPU has a thread of its own.
class AutocastAs {
 public:
  AutocastAs(at::DeviceType device, bool on, at::ScalarType type)
      : device_(device), was_on_(at::autocast::is_autocast_enabled(device)), was_(at::autocast::get_autocast_dtype(device)) {
    set(on, type);
  }
  ~AutocastAs() { set(was_on_, was_); }
  AutocastAs(const AutocastAs&) = delete;
  AutocastAs& operator=(const AutocastAs&) = delete;

 private:
  void set(bool on, at::ScalarType type) const {
    at::autocast::set_autocast_enabled(device_, on);
    at::autocast::set_autocast_dtype(device_, type);
  }
  at::DeviceType device_;
  bool was_on_;
  at::ScalarType was_;
};

struct Work : torch::CustomClassHolder {
  std::function<std::vector<Tensor>(const std::vector<Tensor>&)> run;
  size_t inputs = 0;
  at::DeviceType device = at::kCPU;
  bool autocast = false;
  at::ScalarType type = at::kFloat;
};

struct Recomputed : torch::autograd::Function<Recomputed> {
  static variable_list forward(AutogradContext* context, at::TensorList all, const c10::intrusive_ptr<Work>& work) {
    context->save_for_backward(all.vec());
    context->saved_data["work"] = c10::IValue::make_capsule(work);
    return work->run(all.slice(0, work->inputs).vec());  // gradients are off in here
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    const auto holder = context->saved_data["work"].toCapsule();
    const Work& work = static_cast<const Work&>(*holder);
    variable_list all = context->get_saved_variables();
    const AutocastAs autocast(work.device, work.autocast, work.type);
    const at::AutoGradMode on(true);
    for (size_t i = 0; i < work.inputs; ++i) {
      const bool needs = all[i].requires_grad();
      all[i] = all[i].detach().requires_grad_(needs);
    }
    const variable_list outputs = work.run({all.begin(), all.begin() + static_cast<std::ptrdiff_t>(work.inputs)});
    variable_list wanted, known, given;
    for (const Tensor& input : all) {
      if (input.requires_grad()) wanted.push_back(input);
    }
    for (size_t i = 0; i < outputs.size(); ++i) {
      if (gradients[i].defined() && outputs[i].requires_grad()) known.push_back(outputs[i]), given.push_back(gradients[i]);
    }
    variable_list found = torch::autograd::grad(known, wanted, given, /*retain_graph=*/false, /*create_graph=*/false, /*allow_unused=*/true);
    variable_list out;
    auto next = found.begin();
    for (const Tensor& input : all) out.push_back(input.requires_grad() ? std::move(*next++) : Tensor());
    out.emplace_back();  // of `work`
    return out;
  }
};

}  // namespace

std::vector<Tensor> recomputed(const std::vector<Tensor>& inputs, const std::vector<Tensor>& parameters,
                               std::function<std::vector<Tensor>(const std::vector<Tensor>&)> run) {
  auto work = c10::make_intrusive<Work>();
  work->run = std::move(run), work->inputs = inputs.size();
  work->device = inputs[0].device().type();
  work->autocast = at::autocast::is_autocast_enabled(work->device), work->type = at::autocast::get_autocast_dtype(work->device);
  std::vector<Tensor> all = inputs;
  all.insert(all.end(), parameters.begin(), parameters.end());
  return Recomputed::apply(at::TensorList(all), work);
}

}  // namespace flowrun::model
