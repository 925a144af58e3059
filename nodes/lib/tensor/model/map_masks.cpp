#include "nodes/lib/tensor/model/map_masks.h"

#include <ATen/ops/linear.h>
#include <cmath>
#include <stdexcept>

#include "nodes/lib/tensor/device/float32.h"

namespace flowrun::model {

MapMasks::MapMasks(const MapMasksConfig& config) : Module("map masks"), config_(config) {
  if (config.channels < 1 || config.reduced < 1 || config.masks < 1) throw std::invalid_argument("masks of maps need channels, a width and a number");
  query_ = add("query", config.reduced, config.channels);
  key_ = add("key", config.reduced, config.channels);
  value_ = add("value", config.reduced, config.channels);
  space_ = add("space", config.masks, config.reduced);
  channel_ = add("channel", config.masks * config.channels, config.reduced);
}

size_t MapMasks::add(const std::string& name, int64_t out, int64_t in) {
  const size_t first = parameters_.add_uniform(name + ".weight", {out, in}, 1 / std::sqrt(static_cast<double>(in)));
  parameters_.add(name + ".bias", {out}, Init::zeros);
  return first;
}

Tensor MapMasks::linear(size_t at, const Tensor& x) const { return at::linear(x, parameters_[at], parameters_[at + 1]); }

MapMasks::Masks MapMasks::of(const Tensor& student_BPC, const Tensor& teacher_BPC) const {
  const Float32 precision;
  const Tensor student = at_least_float(student_BPC), teacher = at_least_float(teacher_BPC);
  const Tensor near = linear(query_, student).matmul(linear(key_, teacher).transpose(1, 2)).div(std::sqrt(static_cast<double>(config_.reduced)));
  const Tensor fused_BPR = near.softmax(2).matmul(linear(value_, teacher));
  return {linear(space_, fused_BPR).sigmoid().transpose(1, 2),
          linear(channel_, fused_BPR.mean(1)).sigmoid().unflatten(1, {config_.masks, config_.channels})};
}

}  // namespace flowrun::model
