#include "nodes/lib/tensor/optim/gradient_homes.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/_foreach_copy.h>
#include <ATen/ops/_foreach_zero.h>
#include <ATen/ops/empty_like.h>
#include <stdexcept>
#include <utility>

#include "nodes/lib/tensor/device/recording.h"

namespace flowrun::train {
namespace {

std::vector<Tensor> defined(const std::vector<Tensor>& tensors) {
  std::vector<Tensor> out;
  for (const Tensor& tensor : tensors) {
    if (tensor.defined()) out.push_back(tensor);
  }
  return out;
}

}  // namespace

GradientHomes::GradientHomes(std::vector<Tensor> parameters) : all_(std::make_shared<Homes>()), lent_(parameters.size(), -1) {
  all_->homes.resize(parameters.size());
  all_->parameters = std::move(parameters);
}

void GradientHomes::begin() {
  for (size_t i = 0; i < all_->parameters.size(); ++i) {
    const Tensor& home = all_->homes[i];
    Tensor& gradient = all_->parameters[i].mutable_grad();
    lent_[i] = -1;
    if (gradient.defined() || !home.defined()) continue;
    gradient = home;
    lent_[i] = home._version();
  }
  recording::changes(defined(all_->homes));
}

void GradientHomes::settle() {
  const at::NoGradGuard no_grad;
  std::vector<Tensor> made, homes, present;
  std::vector<size_t> places;
  for (size_t i = 0; i < all_->parameters.size(); ++i) {
    Tensor& gradient = all_->parameters[i].mutable_grad();
    if (!gradient.defined()) continue;
    Tensor& home = all_->homes[i];
    if (!gradient.is_same(home)) {
      // In a recording the new gradient would take the place of others in every group, not add to them.
      if (recording::number() != 0) throw std::logic_error("a parameter gets its first gradient");
      home = at::empty_like(gradient);
      made.push_back(gradient), homes.push_back(home);
      gradient = home;
    } else if (lent_[i] >= 0 && home._version() == lent_[i]) {
      gradient.reset();  // the pass has not reached it
      continue;
    }
    places.push_back(i), present.push_back(home);
  }
  recording::starts_at_zero(homes);
  if (!made.empty()) at::_foreach_copy_(homes, made);
  recording::result(present);
  recording::after_play([all = all_, places] {
    for (const size_t i : places) all->parameters[i].mutable_grad() = all->homes[i];
  });
  recording::on_failure([all = all_] {
    for (size_t i = 0; i < all->parameters.size(); ++i) {
      Tensor& gradient = all->parameters[i].mutable_grad();
      if (gradient.defined() && !gradient.is_same(all->homes[i])) gradient.reset();
    }
  });
}

void GradientHomes::clear() const {
  const std::vector<Tensor> homes = defined(all_->homes);
  const at::NoGradGuard no_grad;
  if (!homes.empty()) at::_foreach_zero_(homes);
}

}  // namespace flowrun::train
