#include "nodes/lib/tensor/kernels/kernels.h"

#include <ATen/autocast_mode.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty_like.h>
#include <limits>
#include <optional>
#include <torch/csrc/autograd/custom_function.h>

#include "nodes/lib/tensor/kernels/call.h"

namespace flowrun::kernels {
namespace {

using torch::autograd::AutogradContext, torch::autograd::variable_list;

int64_t rows_of(const Tensor& x) { return x.size(-1) == 0 ? 0 : x.numel() / x.size(-1); }

}  // namespace

Tensor standardised_rows(const std::vector<Tensor>& taps_BND, const Tensor& index, double eps, bool unbiased) {
  check(!taps_BND.empty(), "no rows to standardise");
  const Tensor& first = taps_BND[0];
  const at::NoGradGuard no_grad;
  check(first.dim() == 3 && index.dim() == 2 && index.scalar_type() == at::kLong && index.size(0) == first.size(0),
        "rows are taken of [B, N, D] at indices [B, n], int64");
  const int64_t width = first.size(2), taps = static_cast<int64_t>(taps_BND.size());
  const Tensor places = index.contiguous();
  Tensor out = empty({index.size(0), index.size(1), taps * width}, first, accumulation(first.scalar_type()));
  if (out.numel() == 0) return out;
  for (int64_t i = 0; i < taps; ++i) {
    const Tensor& given = taps_BND[static_cast<size_t>(i)];
    check(given.sizes() == first.sizes() && accumulation(given.scalar_type()) == out.scalar_type(),
          "the tensors to take rows of differ in shape or type");
    const Tensor tap = given.stride(2) == 1 ? given : given.contiguous();
    On(tap)->target_rows({.tap = values(tap),
                          .type = type_of(tap.scalar_type()),
                          .image_stride = tap.stride(0),
                          .row_stride = tap.stride(1),
                          .index = places.const_data_ptr<int64_t>(),
                          .images = index.size(0),
                          .rows = index.size(1),
                          .width = width,
                          .out = static_cast<char*>(memory(out)) + i * width * static_cast<int64_t>(out.element_size()),
                          .out_stride = taps * width,
                          .eps = eps,
                          .unbiased = unbiased});
  }
  return out;
}

Tensor patch_rows(const Tensor& images_BCHW, int64_t patch, const Tensor& index) {
  check(images_BCHW.dim() == 4 && patch > 0 && images_BCHW.size(2) == images_BCHW.size(3) && images_BCHW.size(2) % patch == 0,
        "patches are taken of square images [B, C, S, S] whose side they divide");
  check(!index.defined() || (index.dim() == 2 && index.scalar_type() == at::kLong && index.size(0) == images_BCHW.size(0)),
        "patches are taken at indices [B, n], int64");
  const int64_t images = images_BCHW.size(0), channels = images_BCHW.size(1), grid = images_BCHW.size(2) / patch;
  const int64_t rows = index.defined() ? index.size(1) : grid * grid;
  const Tensor pixels = images_BCHW.detach().contiguous(), places = index.defined() ? index.contiguous() : Tensor();
  Tensor out = empty({images, rows, channels * patch * patch}, pixels, pixels.scalar_type());
  if (out.numel() == 0) return out;
  On(pixels)->patch_rows({.pixels = values(pixels),
                          .type = type_of(pixels.scalar_type()),
                          .images = images,
                          .channels = channels,
                          .grid = grid,
                          .patch = patch,
                          .index = static_cast<const int64_t*>(values(places)),
                          .rows = rows,
                          .out = memory(out)});
  return out;
}

Tensor normalised(const uint8_t* bytes, int64_t images, int64_t height, int64_t width, const std::vector<float>& scale,
                  const std::vector<float>& shift, at::Device device) {
  check(scale.size() == 3 && shift.size() == 3, "three channels are normalised");
  Tensor out = at::empty({images, 3, height, width}, at::TensorOptions(at::kFloat).device(device));
  if (out.numel() == 0) return out;
  On(device)->normalise({.in = bytes,
                         .images = images,
                         .pixels = height * width,
                         .scale = {scale[0], scale[1], scale[2]},
                         .shift = {shift[0], shift[1], shift[2]},
                         .out = out.mutable_data_ptr<float>()});
  return out;
}

// The squared error.

namespace {

struct SquaredErrorRoot : torch::autograd::Function<SquaredErrorRoot> {
  static Tensor forward(AutogradContext* context, const Tensor& value, const Tensor& prediction, const Tensor& target) {
    context->save_for_backward({prediction, target});
    return value.detach().clone();
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    const auto saved = context->get_saved_variables();
    const Tensor prediction = saved[0].contiguous(), target = wide(saved[1], prediction), gradient = wide(gradients[0], prediction);
    const Tensor out = at::empty_like(prediction);
    if (out.numel() > 0) {
      On(out)->squared_error_gradient({.prediction = values(prediction),
                                       .type = type_of(prediction.scalar_type()),
                                       .target = values(target),
                                       .gradient = values(gradient),
                                       .factor = 2.0 / static_cast<double>(out.numel()),
                                       .count = out.numel(),
                                       .out = memory(out)});
    }
    return {Tensor(), out, Tensor()};
  }
};

}  // namespace

Tensor squared_error(const Tensor& prediction, const Tensor& target, int64_t parts) {
  const at::NoGradGuard no_grad;
  check(prediction.sizes() == target.sizes() && prediction.dim() > 0 && parts > 0 && prediction.size(-1) % parts == 0,
        "prediction and target must have one shape, whose last axis the parts divide");
  const Tensor p = prediction.contiguous(), t = wide(target, p), sums = empty({parts}, p, at::kDouble);
  if (p.numel() == 0) return sums.fill_(std::numeric_limits<double>::quiet_NaN());
  On(p)->squared_error({.prediction = values(p),
                        .type = type_of(p.scalar_type()),
                        .target = values(t),
                        .rows = rows_of(p),
                        .parts = parts,
                        .width = p.size(-1) / parts,
                        .sums = sums.mutable_data_ptr<double>()});
  return sums.mul(static_cast<double>(parts) / static_cast<double>(p.numel()));
}

Tensor with_squared_error_gradient(const Tensor& value, const Tensor& prediction, const Tensor& target) {
  check(prediction.sizes() == target.sizes(), "prediction and target must have one shape");
  return SquaredErrorRoot::apply(value, prediction, target);
}

// Residual additions and layer norms.

namespace {

struct Normed {
  Tensor sum, out, mean, rstd;
};

Normed run_add_norm(const Stream& stream, const Tensor& weight, const Tensor& shift, double eps, at::ScalarType type) {
  const Tensor x = stream.x.contiguous(), branch = stream.branch.defined() ? stream.branch.contiguous() : Tensor();
  const int64_t width = x.size(-1);
  check(weight.numel() == width && shift.numel() == width, "a layer norm has as many gains and shifts as the stream is wide");
  check(!branch.defined() || branch.sizes() == x.sizes(), "a branch has the shape of its stream");
  check(!branch.defined() || x.scalar_type() == at::kFloat || branch.scalar_type() == x.scalar_type(), "only a float32 stream takes other branches");
  check(x.scalar_type() == at::kFloat ? type != at::kDouble : type == x.scalar_type(), "only a float32 stream is normed to another type");
  const at::ScalarType sums = accumulation(x.scalar_type());
  const Tensor gains = wide(weight, x), shifts = wide(shift, x), bias = stream.bias.defined() ? wide(stream.bias, x) : Tensor();
  Normed done{.sum = x, .out = empty(x.sizes(), x, type)};
  const auto rows = x.sizes().slice(0, x.dim() - 1);
  done.mean = empty(rows, x, sums), done.rstd = empty(rows, x, sums);
  if (branch.defined()) done.sum = stream.spend && branch.scalar_type() == x.scalar_type() ? branch : at::empty_like(x);
  if (x.numel() == 0) return done;
  On(x)->add_norm({.x = values(x),
                   .branch = values(branch),
                   .bias = values(bias),
                   .weight = values(gains),
                   .shift = values(shifts),
                   .rows = rows_of(x),
                   .width = width,
                   .eps = eps,
                   .stream = type_of(x.scalar_type()),
                   .branch_type = type_of(branch.defined() ? branch.scalar_type() : x.scalar_type()),
                   .out_type = type_of(type),
                   .sum = branch.defined() ? memory(done.sum) : nullptr,
                   .out = memory(done.out),
                   .mean = memory(done.mean),
                   .rstd = memory(done.rstd)});
  return done;
}

std::optional<Tensor> optional(const Tensor& x) { return x.defined() ? std::optional(x) : std::nullopt; }

/// Outputs: what is normed, and with a branch the sum.
struct AddNormFunction : torch::autograd::Function<AddNormFunction> {
  /// Numbers of inputs as needs_input_grad() counts: missing inputs have none.
  enum Input : size_t { kX, kWeight, kShift, kBranch, kBias };

  static variable_list forward(AutogradContext* context, const Tensor& x, const Tensor& weight, const Tensor& shift,
                               const std::optional<Tensor>& given_branch, const std::optional<Tensor>& bias, double eps, at::ScalarType type) {
    context->set_materialize_grads(false);
    const Tensor branch = given_branch.value_or(Tensor());
    const Normed done = run_add_norm({.x = x, .branch = branch, .bias = bias.value_or(Tensor())}, weight, shift, eps, type);
    context->save_for_backward({done.sum, done.mean, done.rstd, weight});
    context->saved_data["branch"] = branch.defined() ? static_cast<int64_t>(branch.scalar_type()) : int64_t{-1};
    context->saved_data["bias"] = branch.defined() && bias.has_value();
    context->saved_data["type"] = static_cast<int64_t>(type);
    if (!branch.defined()) return {done.out};
    return {done.out, done.sum};
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    const auto saved = context->get_saved_variables();
    const Tensor &sum = saved[0], &weight = saved[3];
    const int64_t branch = context->saved_data["branch"].toInt(), width = sum.size(-1);
    const bool bias_wanted = context->saved_data["bias"].toBool() && context->needs_input_grad(kBias);
    const Tensor sum_gradient = gradients.size() > 1 && gradients[1].defined() ? gradients[1].to(sum.scalar_type()).contiguous() : Tensor();
    if (!gradients[0].defined()) {  // the normed output has no reader
      const Tensor of_bias = bias_wanted && sum_gradient.defined() ? sum_gradient.reshape({-1, width}).sum(0) : Tensor();
      return {sum_gradient, {}, {}, branch >= 0 ? sum_gradient : Tensor(), of_bias, {}, {}};
    }
    const Tensor out_gradient = gradients[0].to(static_cast<at::ScalarType>(context->saved_data["type"].toInt())).contiguous(),
                 gains = wide(weight, sum);
    const auto if_wanted = [&](bool wanted) { return wanted ? at::empty_like(gains) : Tensor(); };
    const Tensor of_weight = if_wanted(context->needs_input_grad(kWeight)), of_shift = if_wanted(context->needs_input_grad(kShift)),
                 of_bias = if_wanted(bias_wanted);
    const Tensor gradient = at::empty_like(sum);
    const bool other_type = branch >= 0 && branch != static_cast<int64_t>(sum.scalar_type());
    const auto branch_type = branch >= 0 ? static_cast<at::ScalarType>(branch) : sum.scalar_type();
    const Tensor of_branch = other_type ? empty(sum.sizes(), sum, branch_type) : Tensor();
    if (sum.numel() > 0) {
      On(sum)->add_norm_backward({.sum = values(sum),
                                  .mean = values(saved[1]),
                                  .rstd = values(saved[2]),
                                  .weight = values(gains),
                                  .out_gradient = values(out_gradient),
                                  .sum_gradient = values(sum_gradient),
                                  .rows = rows_of(sum),
                                  .width = width,
                                  .stream = type_of(sum.scalar_type()),
                                  .branch_type = type_of(branch_type),
                                  .out_type = type_of(out_gradient.scalar_type()),
                                  .gradient = memory(gradient),
                                  .branch_gradient = memory(of_branch),
                                  .weight_gradient = memory(of_weight),
                                  .shift_gradient = memory(of_shift),
                                  .bias_gradient = memory(of_bias)});
    } else {
      for (const Tensor& none : {of_weight, of_shift, of_bias}) {
        if (none.defined()) none.zero_();
      }
    }
    return {gradient, of_weight, of_shift, branch < 0 ? Tensor() : other_type ? of_branch : gradient, of_bias, {}, {}};
  }
};

}  // namespace

const Tensor& Stream::sum() {
  if (!branch.defined()) return x;
  // As the kernel has it: the bias first.
  x = x.add(bias.defined() ? branch.add(bias) : branch);
  *this = {.x = x};
  return x;
}

Tensor add_norm(Stream& stream, const Tensor& weight, const Tensor& shift, double eps, at::ScalarType type) {
  if (!at::GradMode::is_enabled()) {
    Normed done = run_add_norm(stream, weight, shift, eps, type);
    stream = {.x = done.sum};
    return done.out;
  }
  const variable_list done = AddNormFunction::apply(stream.x, weight, shift, optional(stream.branch), optional(stream.bias), eps, type);
  if (stream.branch.defined()) stream = {.x = done[1]};
  return done[0];
}

// Linear layer and GELU.

namespace {

/// slope may be undefined.
void run_gelu(const Tensor& x, const Tensor& bias, const Tensor& out, const Tensor& slope) {
  if (x.numel() == 0) return;
  const Tensor dense = wide(bias, x);
  check(dense.numel() == x.size(-1), "a bias is as long as its rows are wide");
  On(x)->bias_gelu({.x = values(x),
                    .bias = values(dense),
                    .type = type_of(x.scalar_type()),
                    .rows = rows_of(x),
                    .width = x.size(-1),
                    .out = memory(out),
                    .slope = memory(slope)});
}

struct LinearGelu : torch::autograd::Function<LinearGelu> {
  /// x [rows, D]
  static Tensor forward(AutogradContext* context, const Tensor& x, const Tensor& weight, const Tensor& bias) {
    const Tensor product = x.mm(weight.t());
    Tensor out = at::empty_like(product);
    run_gelu(product, bias, out, product);
    context->save_for_backward({x, weight, product});
    return out;
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    const auto saved = context->get_saved_variables();
    const Tensor &x = saved[0], &weight = saved[1], &slope = saved[2];
    const Tensor gradient = gradients[0].to(slope.scalar_type()).contiguous(), of_product = at::empty_like(slope);
    Tensor of_bias;
    if (context->needs_input_grad(2)) of_bias = empty({slope.size(-1)}, slope, accumulation(slope.scalar_type()));
    if (slope.numel() > 0) {
      On(slope)->bias_gelu_backward({.gradient = values(gradient),
                                     .slope = values(slope),
                                     .type = type_of(slope.scalar_type()),
                                     .rows = rows_of(slope),
                                     .width = slope.size(-1),
                                     .x_gradient = memory(of_product),
                                     .bias_gradient = memory(of_bias)});
    } else if (of_bias.defined()) {
      of_bias.zero_();
    }
    return {context->needs_input_grad(0) ? of_product.mm(weight) : Tensor(), context->needs_input_grad(1) ? of_product.t().mm(x) : Tensor(), of_bias};
  }
};

}  // namespace

Tensor linear_gelu(const Tensor& x, const Tensor& weight, const Tensor& bias) {
  const at::ScalarType type = product_type(x);
  const Tensor rows = x.reshape({-1, x.size(-1)}).to(type), matrix = weight.to(type);
  auto shape = x.sizes().vec();
  shape.back() = weight.size(0);
  if (at::GradMode::is_enabled()) return LinearGelu::apply(rows, matrix, bias).view(shape);
  const Tensor product = rows.mm(matrix.t());
  run_gelu(product, bias, product, {});
  return product.view(shape);
}

at::ScalarType product_type(const Tensor& x) {
  const auto device = x.device().type();
  const bool casts = x.scalar_type() != at::kDouble && at::autocast::is_autocast_enabled(device);
  return casts ? at::autocast::get_autocast_dtype(device) : x.scalar_type();
}

}  // namespace flowrun::kernels
