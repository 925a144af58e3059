#include "support/kernel_cases.h"

#include <ATen/core/Reduction.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/gelu.h>
#include <ATen/ops/layer_norm.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/mse_loss.h>
#include <ATen/ops/scaled_dot_product_attention.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/var_mean.h>
#include <ATen/ops/zeros.h>
#include <cmath>
#include <torch/csrc/autograd/autograd.h>

#include "nodes/lib/tensor/kernels/kernels.h"
#include "nodes/lib/tensor/model/rows.h"

namespace flowrun::test {
namespace {

using at::Tensor;
using Tensors = KernelCase::Tensors;
using Types = std::vector<at::ScalarType>;

const Types all = {at::kDouble, at::kFloat, at::kBFloat16}, mixed = {at::kFloat};

std::string sizes(std::initializer_list<int64_t> numbers) {
  std::string text;
  for (const int64_t number : numbers) text += (text.empty() ? " " : "x") + std::to_string(number);
  return text;
}

Tensor wide(const Tensor& x) { return x.scalar_type() == at::kDouble ? x : x.to(at::kFloat); }

/// Places in [0, below), some of them twice.
Tensor places(std::vector<int64_t> shape, int64_t below) {
  int64_t count = 1;
  for (const int64_t size : shape) count *= size;
  return at::arange(count, at::kLong).mul(7).add(3).remainder(below).view(shape);
}

/// Taps are rows of a longer sequence, as the model's are.
KernelCase standardised(int64_t images, int64_t patches, int64_t width, int64_t taps, int64_t rows, bool unbiased, bool timed = false) {
  KernelCase one{.name = std::string("standardised_rows") + (unbiased ? ", unbiased" : "") + sizes({images, patches, width, taps, rows}),
                 .types = all};
  one.timed = timed;
  one.inputs = [=](at::ScalarType type) {
    Tensors in = {places({images, rows}, patches)};
    for (int64_t i = 0; i < taps; ++i) {
      in.push_back(made_up({images, patches + 5, width}, 3.0 + static_cast<double>(i), type).mul(4).add(1).narrow(1, 5, patches));
    }
    return in;
  };
  one.ours = [=](const Tensors& in) -> Tensors { return {kernels::standardised_rows({in.begin() + 1, in.end()}, in[0], 1e-5, unbiased)}; };
  one.aten = [=](const Tensors& in) -> Tensors {
    Tensors parts;
    for (size_t i = 1; i < in.size(); ++i) parts.push_back(model::gather_rows(in[i], in[0]));
    const Tensor x = wide(at::stack(parts, -2));
    if (!unbiased) return {at::layer_norm(x, {width}, {}, {}, 1e-5).flatten(-2)};
    const auto [variance, mean] = at::var_mean(x, at::OptionalIntArrayRef{-1}, true, true);
    return {x.sub(mean).mul(variance.add(1e-5).rsqrt()).flatten(-2)};
  };
  return one;
}

KernelCase patches(int64_t images, int64_t channels, int64_t grid, int64_t patch, int64_t rows, bool timed = false) {
  KernelCase one{.name = "patch_rows" + sizes({images, channels, grid, patch, rows}), .types = all};
  one.timed = timed;
  one.inputs = [=](at::ScalarType type) {
    return Tensors{made_up({images, channels, grid * patch, grid * patch}, 2, type), rows < 0 ? Tensor() : places({images, rows}, grid * grid)};
  };
  one.ours = [=](const Tensors& in) -> Tensors { return {kernels::patch_rows(in[0], patch, in[1])}; };
  one.aten = [=](const Tensors& in) -> Tensors {
    const Tensor every =
        in[0].reshape({-1, channels, grid, patch, grid, patch}).permute({0, 2, 4, 1, 3, 5}).reshape({-1, grid * grid, channels * patch * patch});
    return {in[1].defined() ? model::gather_rows(every, in[1]) : every};
  };
  return one;
}

KernelCase bytes(int64_t images, int64_t height, int64_t width, bool timed = false) {
  const std::vector<float> scale = {0.017f, 0.018f, 0.0175f}, shift = {-2.1f, -2.0f, -1.8f};
  KernelCase one{.name = "normalised" + sizes({images, height, width}), .types = mixed};
  one.timed = timed;
  one.inputs = [=](at::ScalarType) {
    return Tensors{at::arange(images * height * width * 3, at::kLong).mul(37).remainder(256).to(at::kByte).view({images, height, width, 3})};
  };
  one.ours = [=](const Tensors& in) -> Tensors {
    return {kernels::normalised(in[0].const_data_ptr<uint8_t>(), images, height, width, scale, shift, in[0].device())};
  };
  one.aten = [=](const Tensors& in) -> Tensors {
    const auto row = [&](const std::vector<float>& x) { return at::tensor(x).view({1, 3, 1, 1}).to(in[0].device()); };
    Tensor out = at::empty({images, 3, height, width}, in[0].options().dtype(at::kFloat));
    out.copy_(in[0].permute({0, 3, 1, 2}));
    return {out.mul_(row(scale)).add_(row(shift))};
  };
  return one;
}

enum class Error { parts, value, gradient };

KernelCase squared_error(Error what, int64_t rows, int64_t width, int64_t parts, bool timed = false) {
  const char* names[] = {"squared_error", "squared error, value and gradient", "squared error, gradient"};
  KernelCase one{.name = names[static_cast<int>(what)] + sizes({rows, width, parts}), .types = all};
  one.timed = timed, one.values = what != Error::gradient;
  one.inputs = [=](at::ScalarType type) {
    return Tensors{made_up({rows, width}, 5, type), made_up({rows, width}, 6, type == at::kDouble ? type : at::kFloat)};
  };
  one.trained = {what != Error::parts, false};
  one.ours = [=](const Tensors& in) -> Tensors {
    if (what == Error::parts) return {kernels::squared_error(in[0], in[1], parts)};
    const Tensor value =
        what == Error::value ? kernels::squared_error(in[0], in[1], parts).mean().to(in[1].scalar_type()) : at::zeros({}, in[1].options());
    return {kernels::with_squared_error_gradient(value, in[0], in[1])};
  };
  one.aten = [=](const Tensors& in) -> Tensors {
    const Tensor p = wide(in[0]), t = wide(in[1]);
    if (what != Error::parts) return {at::mse_loss(p, t)};
    return {at::mse_loss(p, t, at::Reduction::None).unflatten(-1, {parts, width / parts}).mean(at::IntArrayRef{0, 2}, false, at::kDouble)};
  };
  return one;
}

enum class Branch { none, plain, biased, narrow };

KernelCase add_norm(Branch branch, int64_t rows, int64_t width, bool timed = false) {
  const char* names[] = {"add_norm, no branch", "add_norm, no bias", "add_norm", "add_norm, float32 and bfloat16"};
  KernelCase one{.name = names[static_cast<int>(branch)] + sizes({rows, width}), .types = branch == Branch::narrow ? mixed : all};
  one.timed = timed;
  const bool has_branch = branch != Branch::none, has_bias = has_branch && branch != Branch::plain;
  one.trained = {true, has_branch, has_bias, true, true};
  one.inputs = [=](at::ScalarType type) {
    const at::ScalarType parameters = type == at::kDouble ? type : at::kFloat, other = branch == Branch::narrow ? at::kBFloat16 : type;
    return Tensors{made_up({rows, width}, 1, type).mul(3), has_branch ? made_up({rows, width}, 2, other) : Tensor(),
                   has_bias ? made_up({width}, 3, parameters) : Tensor(), made_up({width}, 4, parameters).add(1), made_up({width}, 5, parameters)};
  };
  one.ours = [=](const Tensors& in) -> Tensors {
    kernels::Stream stream{.x = in[0], .branch = in[1], .bias = in[2]};
    const Tensor out = kernels::add_norm(stream, in[3], in[4], 1e-6, branch == Branch::narrow ? at::kBFloat16 : in[0].scalar_type());
    return has_branch ? Tensors{out, stream.x} : Tensors{out};
  };
  one.aten = [=](const Tensors& in) -> Tensors {
    const Tensor sum = has_branch ? in[0].add(has_bias ? in[1].add(in[2]) : in[1]) : in[0];
    const Tensor out = at::layer_norm(sum, {width}, in[3], in[4], 1e-6);
    return has_branch ? Tensors{branch == Branch::narrow ? out.to(at::kBFloat16) : out, sum} : Tensors{out};
  };
  return one;
}

KernelCase linear_gelu(int64_t rows, int64_t in_width, int64_t width, bool timed = false) {
  KernelCase one{.name = "linear_gelu" + sizes({rows, in_width, width}), .types = all};
  one.timed = timed;
  one.trained = {true, true, true};
  one.inputs = [=](at::ScalarType type) {
    return Tensors{made_up({1, rows, in_width}, 1, type).mul(3),
                   made_up({width, in_width}, 2, type).mul(1.5 / std::sqrt(static_cast<double>(in_width))),
                   made_up({width}, 3, type == at::kDouble ? type : at::kFloat).mul(2)};
  };
  one.ours = [=](const Tensors& in) -> Tensors { return {kernels::linear_gelu(in[0], in[1], in[2])}; };
  one.aten = [=](const Tensors& in) -> Tensors { return {at::gelu(at::linear(in[0], in[1], in[2].to(in[0].scalar_type())))}; };
  return one;
}

/// ATen's composition, with the products' layout on both sides.
KernelCase attention(std::string name, std::vector<int64_t> numbers, int64_t heads, const std::function<Tensors(at::ScalarType)>& inputs,
                     bool timed) {
  KernelCase one{.name = std::move(name), .types = {at::kDouble, at::kFloat}, .inputs = inputs};
  for (size_t i = 0; i < numbers.size(); ++i) one.name += (i == 0 ? " " : "x") + std::to_string(numbers[i]);
  one.timed = timed, one.exact = true;
  const double scale = 1.7 / std::sqrt(static_cast<double>(numbers[2] / heads));
  const auto parts = [heads](const Tensors& in) {
    const Tensors three = in.size() == 1 ? in[0].chunk(3, -1) : in;
    return Tensors{kernels::to_heads(three[0], heads), kernels::to_heads(three[1], heads), kernels::to_heads(three[2], heads)};
  };
  one.aten = [=](const Tensors& in) -> Tensors {
    const Tensors p = parts(in);
    return {at::scaled_dot_product_attention(p[0], p[1], p[2], {}, 0, false, scale).transpose(1, 2).flatten(2)};
  };
  one.ours = [=](const Tensors& in) -> Tensors {
    if (in.size() == 1) return {kernels::self_attention(in[0], heads, {.scale = scale})};
    const Tensors p = parts(in);
    return {kernels::attention(p[0], p[1], p[2], {.scale = scale})};
  };
  return one;
}

KernelCase self_attention(int64_t sequences, int64_t rows, int64_t width, int64_t heads, bool timed = false) {
  KernelCase one = attention(
      "self_attention", {sequences, rows, width, heads}, heads,
      [=](at::ScalarType type) {
        return Tensors{made_up({sequences, rows, 3 * width}, 4, type).mul(3)};
      },
      timed);
  one.trained = {true};
  return one;
}

KernelCase cross_attention(int64_t sequences, int64_t queries, int64_t keys, int64_t width, int64_t heads, bool timed = false) {
  KernelCase one = attention(
      "attention", {sequences, queries, width, heads, keys}, heads,
      [=](at::ScalarType type) {
        const auto rows = [&](int64_t count, double seed) { return made_up({sequences, count, width}, seed, type).mul(3); };
        return Tensors{rows(queries, 4), rows(keys, 5), rows(keys, 6)};
      },
      timed);
  one.trained = {true, true, true};
  return one;
}

std::vector<KernelCase> make_cases() {
  std::vector<KernelCase> out;
  // The sizes of tests/perf/step, small and ViT-S, are timed.
  for (const bool unbiased : {false, true}) {
    out.push_back(standardised(64, 64, 192, 4, 40, unbiased, !unbiased));
    out.push_back(standardised(8, 196, 384, 4, 140, unbiased, !unbiased));
    out.push_back(standardised(3, 7, 5, 2, 4, unbiased));
    out.push_back(standardised(2, 4, 33, 1, 1, unbiased));
    out.push_back(standardised(1, 1, 1027, 3, 1, unbiased));
    out.push_back(standardised(2, 4, 8, 2, 0, unbiased));
  }
  out.push_back(standardised(2, 3, 1, 2, 3, false));
  out.push_back(patches(64, 3, 8, 4, 19, true));
  out.push_back(patches(8, 3, 14, 16, 57, true));
  out.push_back(patches(64, 3, 8, 4, -1, true));
  out.push_back(patches(8, 3, 14, 16, -1, true));
  for (const int64_t rows : {-1, 0, 1, 9}) out.push_back(patches(2, 1, 3, 5, rows));
  out.push_back(patches(1, 4, 1, 7, 1));
  out.push_back(patches(3, 2, 5, 1, 6));
  out.push_back(patches(2, 2, 3, 12, 4));
  out.push_back(bytes(64, 32, 32, true));
  out.push_back(bytes(8, 224, 224, true));
  out.push_back(bytes(3, 5, 7));
  out.push_back(bytes(1, 1, 1));
  out.push_back(bytes(0, 4, 4));
  for (const Error what : {Error::parts, Error::value, Error::gradient}) {
    out.push_back(squared_error(what, 2560, 768, 4, true));
    out.push_back(squared_error(what, 1120, 1536, 4, true));
    out.push_back(squared_error(what, 37, 15, 3));
    out.push_back(squared_error(what, 700, 150, 3));
    out.push_back(squared_error(what, 1, 1, 1));
    out.push_back(squared_error(what, 3, 1026, 2));
  }
  for (const Branch branch : {Branch::none, Branch::plain, Branch::biased, Branch::narrow}) {
    const bool timed = branch == Branch::none || branch == Branch::biased;
    out.push_back(add_norm(branch, 4416, 192, timed));
    out.push_back(add_norm(branch, 8704, 96, timed));
    out.push_back(add_norm(branch, 496, 384, timed));
    out.push_back(add_norm(branch, 65, 7));
    out.push_back(add_norm(branch, 1500, 48));  // enough for two threads
    out.push_back(add_norm(branch, 1, 40));
    out.push_back(add_norm(branch, 3, 4099));  // wider than a GPU's shared memory has accumulators for
    out.push_back(add_norm(branch, 0, 16));
  }
  out.push_back(linear_gelu(4416, 192, 768, true));
  out.push_back(linear_gelu(8704, 96, 384, true));
  out.push_back(linear_gelu(1608, 384, 1536, true));
  out.push_back(linear_gelu(67, 5, 13));
  out.push_back(linear_gelu(900, 8, 96));
  out.push_back(linear_gelu(1, 3, 1));
  out.push_back(linear_gelu(0, 4, 8));
  out.push_back(self_attention(64, 24, 192, 6, true));
  out.push_back(self_attention(64, 69, 192, 6, true));
  out.push_back(self_attention(256, 34, 96, 16, true));
  out.push_back(self_attention(8, 201, 384, 6, true));
  out.push_back(self_attention(32, 97, 192, 16, true));
  out.push_back(self_attention(2, 1024, 384, 6, true));
  out.push_back(cross_attention(8, 147, 62, 384, 6, true));
  // A query; a key more than a vector, a query more than a block; heads of 1 to more than four vectors.
  out.push_back(self_attention(3, 1, 8, 2));
  out.push_back(self_attention(2, 25, 15, 3));
  out.push_back(self_attention(1, 17, 66, 2));
  out.push_back(self_attention(2, 53, 160, 2));
  out.push_back(self_attention(1, 67, 3, 3));
  out.push_back(self_attention(0, 5, 8, 2));
  out.push_back(cross_attention(2, 1, 49, 24, 2));
  out.push_back(cross_attention(3, 49, 1, 12, 1));
  out.push_back(cross_attention(2, 30, 16, 64, 2));
  return out;
}

}  // namespace

Tensor made_up(std::vector<int64_t> shape, double seed, at::ScalarType type) {
  int64_t count = 1;
  for (const int64_t size : shape) count *= size;
  return at::arange(count, at::kDouble).add(seed * 1000).mul(12.9898).sin().mul(43758.5453).frac().view(shape).to(type);
}

const std::vector<KernelCase>& kernel_cases() {
  static const std::vector<KernelCase> cases = make_cases();
  return cases;
}

namespace {

Tensors run_trained(const KernelCase& one, const KernelCase::Run& run, const Tensors& inputs, const Tensors* given) {
  Tensors in = inputs, trained;
  for (size_t i = 0; i < one.trained.size(); ++i) {
    if (one.trained[i]) trained.push_back(in[i] = in[i].detach().requires_grad_(true));
  }
  Tensors out = run(in);
  if (trained.empty()) return out;
  for (const Tensor& gradient : torch::autograd::grad(out, trained, given ? *given : made_up_gradients(out))) out.push_back(gradient);
  return out;
}

}  // namespace

Tensors made_up_gradients(const Tensors& outputs) {
  Tensors gradients;
  for (const Tensor& x : outputs)
    gradients.push_back(made_up(x.sizes().vec(), 8.0 + static_cast<double>(gradients.size()), at::kDouble).to(x.options()));
  return gradients;
}

Tensors outputs_and_gradients(const KernelCase& one, const KernelCase::Run& run, const Tensors& inputs, const Tensors& gradients) {
  return run_trained(one, run, inputs, &gradients);
}

Tensors outputs_and_gradients(const KernelCase& one, const KernelCase::Run& run, const Tensors& inputs) {
  return run_trained(one, run, inputs, nullptr);
}

}  // namespace flowrun::test
