#include "nodes/lib/tensor/model/parameters.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/zeros.h>
#include <algorithm>
#include <cmath>
#include <numbers>
#include <stdexcept>

#include "graph/contract/rng.h"

namespace flowrun::model {
namespace {

constexpr double kStd = 0.02;
constexpr double kCut = 2.0;

thread_local bool shapes_only = false;

/// Calls draw(i, bits) for i in 0, 4, 8, … with the four words of one Philox block: number i of a parameter is made
/// from the block that holds draw i, independent of earlier draws.
template <typename Draw>
void for_each_four(const Rng& rng, int64_t count, Draw draw) {
  for (int64_t i = 0; i < count; i += 4) {
    const auto first = static_cast<uint32_t>(i);
    draw(i, PhiloxCounter{rng.at(first), rng.at(first + 1), rng.at(first + 2), rng.at(first + 3)});
  }
}

/// Normal numbers by Box-Muller: words 0 and 1 of a block give numbers 0 and 1 (cosine, sine), words 2 and 3 the rest.
/// 32 bits per word reach 6.6 standard deviations, enough for weights.
void fill_normal(const Rng& rng, double* out, int64_t count, double deviation, double cut) {
  for_each_four(rng, count, [&](int64_t i, const PhiloxCounter& bits) {
    double four[4];
    for (int pair = 0; pair < 4; pair += 2) {
      const double radius = std::sqrt(-2.0 * std::log((bits[pair] + 1.0) * 0x1.0p-32));
      const double angle = 2.0 * std::numbers::pi * (bits[pair + 1] * 0x1.0p-32);
      four[pair] = radius * std::cos(angle);
      four[pair + 1] = radius * std::sin(angle);
    }
    const int64_t n = std::min<int64_t>(4, count - i);
    for (int64_t j = 0; j < n; ++j) out[i + j] = std::clamp(deviation * four[j], -cut, cut);
  });
}

/// Uniform in (-limit, limit).
void fill_uniform(const Rng& rng, double* out, int64_t count, double limit) {
  for_each_four(rng, count, [&](int64_t i, const PhiloxCounter& bits) {
    const int64_t n = std::min<int64_t>(4, count - i);
    for (int64_t j = 0; j < n; ++j) out[i + j] = limit * ((bits[j] + 0.5) * 0x1.0p-31 - 1.0);
  });
}

/// Rows of a weight that Xavier's law sees as one layer.
int64_t fan_out(const Parameter& parameter, InitScheme scheme) {
  const int64_t rows = parameter.value.size(0);
  return scheme == InitScheme::moco_v3 && parameter.name.ends_with("attn.qkv.weight") ? rows / 3 : rows;
}

bool is_weight(Init init) { return init == Init::linear || init == Init::residual || init == Init::patch; }

void fill(const Parameter& parameter, const Rng& rng, InitScheme scheme, double* out) {
  const int64_t count = parameter.value.numel();
  if (parameter.init == Init::zeros || parameter.init == Init::ones) {
    std::fill_n(out, count, parameter.init == Init::ones ? 1.0 : 0.0);
  } else if (parameter.init == Init::constant) {
    std::fill_n(out, count, parameter.value_at_first);
  } else if (parameter.init == Init::normal) {
    fill_normal(rng, out, count, parameter.value_at_first, INFINITY);
  } else if (parameter.init == Init::uniform) {
    fill_uniform(rng, out, count, parameter.value_at_first);
  } else if (parameter.init == Init::kaiming) {
    fill_uniform(rng, out, count, std::sqrt(static_cast<double>(parameter.value.size(0)) / static_cast<double>(count)));
  } else if ((scheme == InitScheme::mae || scheme == InitScheme::moco_v3) && is_weight(parameter.init)) {
    const int64_t fan_in = count / parameter.value.size(0);
    fill_uniform(rng, out, count, std::sqrt(6.0 / static_cast<double>(fan_out(parameter, scheme) + fan_in)));
  } else if (scheme == InitScheme::moco_v3) {
    fill_normal(rng, out, count, 1e-6, kCut);
  } else {
    const bool rescale = scheme == InitScheme::ijepa_rescaled && parameter.init == Init::residual;
    fill_normal(rng, out, count, rescale ? kStd / std::sqrt(2.0 * parameter.block) : kStd, kCut);
  }
}

std::string shape_text(const Tensor& tensor) {
  std::string text = "[";
  for (int64_t i = 0; i < tensor.dim(); ++i) text += (i ? ", " : "") + std::to_string(tensor.size(i));
  return text + "]";
}

}  // namespace

InitScheme init_scheme(std::string_view name) {
  if (name == "ijepa") return InitScheme::ijepa;
  if (name == "ijepa_rescaled") return InitScheme::ijepa_rescaled;
  if (name == "mae") return InitScheme::mae;
  if (name == "moco_v3") return InitScheme::moco_v3;
  throw std::invalid_argument("unknown initialisation \"" + std::string(name) + "\": ijepa, ijepa_rescaled, mae or moco_v3");
}

ShapesOnly::ShapesOnly() { shapes_only = true; }
ShapesOnly::~ShapesOnly() { shapes_only = false; }
bool ShapesOnly::active() { return shapes_only; }

size_t Parameters::add(std::string name, const std::vector<int64_t>& shape, Init init, int block) {
  const size_t index = list_.size();
  if (!index_.emplace(name, index).second) throw std::invalid_argument("two parameters named \"" + name + "\"");
  const at::TensorOptions options = at::TensorOptions(at::kFloat).device(shapes_only ? at::kMeta : at::kCPU);
  Tensor value = init == Init::ones ? at::ones(shape, options) : at::zeros(shape, options);
  list_.push_back({std::move(name), std::move(value), init, block});
  return index;
}

size_t Parameters::add_constant(std::string name, const std::vector<int64_t>& shape, double value) {
  const size_t index = add(std::move(name), shape, Init::constant);
  list_[index].value_at_first = value;
  list_[index].value.fill_(value);
  return index;
}

size_t Parameters::add_normal(std::string name, const std::vector<int64_t>& shape, double deviation) {
  const size_t index = add(std::move(name), shape, Init::normal);
  list_[index].value_at_first = deviation;
  return index;
}

size_t Parameters::add_uniform(std::string name, const std::vector<int64_t>& shape, double distance) {
  const size_t index = add(std::move(name), shape, Init::uniform);
  list_[index].value_at_first = distance;
  return index;
}

const Parameter* Parameters::find(std::string_view name) const {
  const auto it = index_.find(std::string(name));
  return it == index_.end() ? nullptr : &list_[it->second];
}

const Tensor& Parameters::get(std::string_view name) const {
  const Parameter* parameter = find(name);
  if (!parameter) throw std::out_of_range("no parameter \"" + std::string(name) + "\"");
  return parameter->value;
}

int64_t Parameters::count() const {
  int64_t count = 0;
  for (const auto& parameter : list_) count += parameter.value.numel();
  return count;
}

void Parameters::initialise(uint64_t seed, InitScheme scheme) {
  const at::NoGradGuard no_grad;
  for (auto& parameter : list_) {
    if (parameter.value.is_meta()) continue;
    const std::string key = family_.empty() ? parameter.name : family_ + "/" + parameter.name;
    const Tensor host = at::empty(parameter.value.sizes(), at::kDouble);
    fill(parameter, Rng(seed, hash_text("init"), 0, hash_text(key)), scheme, host.mutable_data_ptr<double>());
    parameter.value.copy_(host);
  }
}

void Parameters::copy_from(const Parameters& other) {
  if (other.size() != size()) {
    throw std::invalid_argument("cannot copy " + std::to_string(other.size()) + " parameters to " + std::to_string(size()));
  }
  for (const auto& parameter : other) {
    if (!find(parameter.name)) throw std::invalid_argument("no parameter \"" + parameter.name + "\" to copy to");
    assign(parameter.name, parameter.value);
  }
}

void Parameters::assign(std::string_view name, const Tensor& value) {
  const Tensor& own = get(name);
  if (own.sizes() != value.sizes()) {
    throw std::invalid_argument("parameter \"" + std::string(name) + "\" is " + shape_text(own) + ", not " + shape_text(value));
  }
  const at::NoGradGuard no_grad;
  own.copy_(value);
}

void Parameters::replace(Parameter& parameter, Tensor value) {
  const bool requires_grad = parameter.value.requires_grad();
  parameter.value = std::move(value);
  parameter.value.set_requires_grad(requires_grad);
}

void Parameters::to(at::Device device, at::ScalarType dtype) {
  const at::NoGradGuard no_grad;
  for (auto& parameter : list_) {
    if (!parameter.value.is_meta()) replace(parameter, parameter.value.detach().to(device, dtype));
  }
}

void Parameters::set_requires_grad(bool on) {
  for (auto& parameter : list_) parameter.value.set_requires_grad(on);
}

void Parameters::set_trainable() {
  const auto is_lora = [](const Parameter& p) { return p.name.ends_with(".lora_a") || p.name.ends_with(".lora_b"); };
  const bool lora = std::any_of(list_.begin(), list_.end(), is_lora);
  for (auto& parameter : list_) parameter.value.set_requires_grad(!lora || is_lora(parameter));
}

void Parameters::zero_grad() {
  for (auto& parameter : list_) parameter.value.mutable_grad().reset();
}

}  // namespace flowrun::model
