#include "nodes/lib/tensor/optim/head_optimizers.h"

#include <stdexcept>

namespace flowrun::train {

void HeadOptimizers::add(model::Parameters& parameters, std::vector<size_t> indices, const AdamWOptions& options) {
  heads_.push_back({&parameters, std::move(indices), AdamW(options)});
  heads_.back().optimizer.add("head" + std::to_string(heads_.size() - 1), parameters);
}

void HeadOptimizers::step(const std::vector<double>& lrs, const std::vector<double>& weight_decays) {
  // AdamW passes over parameters without a gradient: each head's optimizer is shown the gradients of that head alone.
  std::vector<std::vector<Tensor>> gradients;
  for (const Head& head : heads_) {
    auto& own = gradients.emplace_back();
    for (const size_t i : head.indices) own.push_back(std::exchange((*head.parameters)[i].mutable_grad(), Tensor()));
  }
  for (size_t h = 0; h < heads_.size(); ++h) {
    Head& head = heads_[h];
    for (size_t i = 0; i < head.indices.size(); ++i) (*head.parameters)[head.indices[i]].mutable_grad() = gradients[h][i];
    head.optimizer.step(lrs.at(h), weight_decays.at(h));
    head.optimizer.zero_grad();
  }
}

std::vector<std::pair<std::string, Tensor>> HeadOptimizers::state() const {
  std::vector<std::pair<std::string, Tensor>> state;
  for (const Head& head : heads_) {
    auto own = head.optimizer.state();
    state.insert(state.end(), own.begin(), own.end());
  }
  return state;
}

void HeadOptimizers::restore(std::string_view name, const Tensor& value) {
  for (size_t h = 0; h < heads_.size(); ++h) {
    if (name.starts_with("head" + std::to_string(h) + ".")) return heads_[h].optimizer.restore(name, value);
  }
  throw std::invalid_argument("optimizer state \"" + std::string(name) + "\" fits no head");
}

}  // namespace flowrun::train
