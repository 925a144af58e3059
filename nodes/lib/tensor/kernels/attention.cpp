#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/scaled_dot_product_attention.h>
#include <array>
#include <cmath>
#include <optional>
#include <torch/csrc/autograd/custom_function.h>

#include "nodes/lib/tensor/kernels/call.h"
#include "nodes/lib/tensor/kernels/kernels.h"

namespace flowrun::kernels {
namespace {

using torch::autograd::AutogradContext, torch::autograd::variable_list;

/// Queries, keys and values, [B, H, n or S, E] each; views.
using Parts = std::array<Tensor, 3>;

Parts parts_of(const Tensor& qkv_BS3D, int64_t heads) {
  // Splitting the last axis, not unbinding a fifth: ATen's backward pass then writes the three gradients side by side in one copy.
  const auto parts = qkv_BS3D.chunk(3, -1);
  return {to_heads(parts[0], heads), to_heads(parts[1], heads), to_heads(parts[2], heads)};
}

HeadRows read(const Tensor& x_BHSE) { return {values(x_BHSE), x_BHSE.stride(0), x_BHSE.stride(1), x_BHSE.stride(2)}; }
WrittenHeadRows written(const Tensor& x_BHSE) { return {memory(x_BHSE), x_BHSE.stride(0), x_BHSE.stride(1), x_BHSE.stride(2)}; }

bool has_kernel(const Tensor& query, const Tensor& key, const Tensor& value, const Attending& how) {
  const at::ScalarType type = query.scalar_type();
  return !how.mask.defined() && !how.causal && (type == at::kFloat || type == at::kDouble) && key.scalar_type() == type &&
         value.scalar_type() == type && query.numel() > 0 && key.numel() > 0 && On(query)->attention != nullptr;
}

Attention arguments(const Parts& parts, double scale, const Tensor& out_BnD, const Tensor& statistics) {
  const Tensor &query = parts[0], &key = parts[1];
  Attention a{.query = read(query),
              .key = read(key),
              .value = read(parts[2]),
              .type = type_of(query.scalar_type()),
              .sequences = query.size(0),
              .heads = query.size(1),
              .queries = query.size(2),
              .keys = key.size(2),
              .width = query.size(3),
              .scale = scale,
              .out = {},
              .statistics = memory(statistics)};
  if (out_BnD.defined()) a.out = written(to_heads(out_BnD, a.heads));
  return a;
}

struct Attended {
  Tensor out_BnD, statistics;
};

Attended run_attention(const Parts& parts, double scale) {
  const Tensor& query = parts[0];
  const int64_t sequences = query.size(0), heads = query.size(1), queries = query.size(2);
  check(parts[1].sizes() == parts[2].sizes() && parts[1].size(0) == sequences && parts[1].size(1) == heads && parts[1].size(3) == query.size(3),
        "queries, keys and values must have as many sequences and heads, of one width");
  Attended done{.out_BnD = empty({sequences, queries, heads * query.size(3)}, query, query.scalar_type()),
                .statistics = empty({sequences, heads, 2, queries}, query, query.scalar_type())};
  On(query)->attention(arguments(parts, scale, done.out_BnD, done.statistics));
  return done;
}

void run_attention_backward(const Parts& parts, double scale, const Tensor& statistics, const Tensor& gradient_BnD, const Parts& to) {
  const Tensor dense = gradient_BnD.contiguous();
  On(dense)->attention_backward({.forward = arguments(parts, scale, {}, statistics),
                                 .out_gradient = read(to_heads(dense, parts[0].size(1))),
                                 .query = written(to[0]),
                                 .key = written(to[1]),
                                 .value = written(to[2])});
}

struct AttentionFunction : torch::autograd::Function<AttentionFunction> {
  static Tensor forward(AutogradContext* context, const Tensor& query, const Tensor& key, const Tensor& value, double scale) {
    const Attended done = run_attention({query, key, value}, scale);
    context->save_for_backward({query, key, value, done.statistics});
    context->saved_data["scale"] = scale;
    return done.out_BnD;
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    const auto saved = context->get_saved_variables();
    const auto like = [](const Tensor& x) { return empty({x.size(0), x.size(2), x.size(1), x.size(3)}, x, x.scalar_type()).transpose(1, 2); };
    const Parts to = {like(saved[0]), like(saved[1]), like(saved[2])};
    run_attention_backward({saved[0], saved[1], saved[2]}, context->saved_data["scale"].toDouble(), saved[3], gradients[0], to);
    return {to[0], to[1], to[2], {}};
  }
};

/// Writes the three gradients into one tensor.
struct SelfAttention : torch::autograd::Function<SelfAttention> {
  static Tensor forward(AutogradContext* context, const Tensor& qkv_BS3D, int64_t heads, double scale) {
    const Attended done = run_attention(parts_of(qkv_BS3D, heads), scale);
    context->save_for_backward({qkv_BS3D, done.statistics});
    context->saved_data["heads"] = heads;
    context->saved_data["scale"] = scale;
    return done.out_BnD;
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    const auto saved = context->get_saved_variables();
    const int64_t heads = context->saved_data["heads"].toInt();
    const Tensor to = at::empty_like(saved[0]);
    run_attention_backward(parts_of(saved[0], heads), context->saved_data["scale"].toDouble(), saved[1], gradients[0], parts_of(to, heads));
    return {to, {}, {}};
  }
};

Tensor by_aten(const Parts& parts, const Attending& how) {
  const std::optional<Tensor> mask = how.mask.defined() ? std::optional(how.mask) : std::nullopt;
  return at::scaled_dot_product_attention(parts[0], parts[1], parts[2], mask, /*dropout_p=*/0, how.causal, how.scale).transpose(1, 2).flatten(2);
}

double scale_of(const Attending& how, const Tensor& query) { return how.scale.value_or(1 / std::sqrt(static_cast<double>(query.size(-1)))); }

}  // namespace

Tensor to_heads(const Tensor& x_BSD, int64_t heads) { return x_BSD.unflatten(-1, {heads, x_BSD.size(-1) / heads}).transpose(1, 2); }

Tensor attention(const Tensor& query_BHnE, const Tensor& key_BHSE, const Tensor& value_BHSE, const Attending& how) {
  Parts parts = {query_BHnE, key_BHSE, value_BHSE};
  if (!has_kernel(query_BHnE, key_BHSE, value_BHSE, how)) return by_aten(parts, how);
  for (Tensor& part : parts) part = part.stride(-1) == 1 ? part : part.contiguous();
  const double scale = scale_of(how, query_BHnE);
  return at::GradMode::is_enabled() ? AttentionFunction::apply(parts[0], parts[1], parts[2], scale) : run_attention(parts, scale).out_BnD;
}

Tensor self_attention(const Tensor& qkv_BS3D, int64_t heads, const Attending& how) {
  if (!has_kernel(qkv_BS3D, qkv_BS3D, qkv_BS3D, how)) return by_aten(parts_of(qkv_BS3D, heads), how);
  const Tensor dense = qkv_BS3D.contiguous();
  const Parts parts = parts_of(dense, heads);
  const double scale = scale_of(how, parts[0]);
  return at::GradMode::is_enabled() ? SelfAttention::apply(dense, heads, scale) : run_attention(parts, scale).out_BnD;
}

}  // namespace flowrun::kernels
