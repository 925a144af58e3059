#include "nodes/train/gradient_homes.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/_foreach_copy.h>
#include <ATen/ops/empty_like.h>
#include <utility>

#include "nodes/device/recording.h"

namespace flowrun::train {

GradientHomes::GradientHomes(std::vector<Tensor> parameters) : all_(std::make_shared<Homes>()) {
  all_->homes.resize(parameters.size());
  all_->parameters = std::move(parameters);
}

void GradientHomes::begin() const {
  std::vector<Tensor> homes;
  for (const Tensor& home : all_->homes) {
    if (home.defined()) homes.push_back(home);
  }
  recording::changes(homes);
}

void GradientHomes::settle() {
  const at::NoGradGuard no_grad;
  std::vector<Tensor> made, homes, present;
  std::vector<size_t> places;
  for (size_t i = 0; i < all_->parameters.size(); ++i) {
    Tensor& gradient = all_->parameters[i].mutable_grad();
    if (!gradient.defined()) continue;
    Tensor& home = all_->homes[i];
    if (!home.defined()) home = at::empty_like(gradient);
    if (!gradient.is_same(home)) {
      made.push_back(gradient), homes.push_back(home);
      gradient = home;
    }
    places.push_back(i), present.push_back(home);
  }
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

}  // namespace flowrun::train
