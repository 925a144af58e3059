#include <ATen/ops/arange.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>
#include <cmath>
#include <gmock/gmock.h>

#include "nodes/lib/tensor/model/matched.h"

namespace flowrun {
namespace {

Tensor wave(double c, at::IntArrayRef shape) {
  int64_t count = 1;
  for (const int64_t n : shape) count *= n;
  return at::arange(count, at::kDouble).mul(0.7).add(c).sin().reshape(shape);
}

/// The same with a matrix of weights over all patches, one image and one head at a time.
Tensor plain(const model::AttentionPool& pool, const Tensor& x_ND, const Tensor& map_SN) {
  const auto& p = pool.parameters();
  const int64_t width = x_ND.size(1), heads = pool.config().heads, each = width / heads;
  const Tensor qkv = at::linear(x_ND, p.get("qkv.weight"), p.get("qkv.bias"));
  Tensor out = at::zeros({map_SN.size(0), width}, at::kDouble);
  for (int64_t head = 0; head < heads; ++head) {
    const auto part = [&](int64_t which) { return qkv.narrow(1, which * width + head * each, each); };
    const Tensor scores = map_SN.matmul(part(0)).matmul(part(1).t()).div(std::sqrt(static_cast<double>(each)));
    out.narrow(1, head * each, each).copy_(scores.softmax(-1).matmul(part(2)));
  }
  const Tensor sum = at::linear(out, p.get("proj.weight"), p.get("proj.bias")).add(map_SN.matmul(x_ND));
  const Tensor centred = sum.sub(sum.mean(-1, true));
  return centred.div(centred.square().mean(-1, true).add(1e-6).sqrt()).mul(p.get("norm.weight")).add(p.get("norm.bias"));
}

TEST(AttentionPool, IsAttentionWithWeightedQueries) {
  model::AttentionPool pool({.width = 8, .heads = 2});
  pool.parameters().initialise(3);
  pool.to(at::kCPU, at::kDouble);
  for (const model::Parameter& parameter : pool.parameters()) pool.parameters().assign(parameter.name, wave(2, parameter.value.sizes()));
  const Tensor x = wave(1, {2, 5, 8});
  const Tensor places = at::tensor({0, 1, 3, 4, 2, 2, 1, 0, 4, 4, 0, 1}, at::kLong).view({2, 3, 2});
  const Tensor weights = wave(4, {2, 3, 2}).abs();
  const Tensor out = pool.apply(x, places, weights), single = pool.apply(x, places.narrow(2, 0, 1), {});
  for (int64_t image = 0; image < 2; ++image) {
    Tensor map = at::zeros({3, 5}, at::kDouble), one = at::zeros({3, 5}, at::kDouble);
    for (int64_t s = 0; s < 3; ++s) {
      for (int64_t k = 0; k < 2; ++k) map[s][places[image][s][k].item<int64_t>()] += weights[image][s][k];
      one[s][places[image][s][0].item<int64_t>()] += 1;
    }
    EXPECT_LT(out[image].sub(plain(pool, x[image], map)).abs().max().item<double>(), 1e-12);
    EXPECT_LT(single[image].sub(plain(pool, x[image], one)).abs().max().item<double>(), 1e-12);
  }
}

/// Two pictures with two views on the first side and three on the second, drawn anyhow.
DeviceMatches some_matches() {
  DeviceMatches out;
  out.pictures = 2;
  out.layout = {
      .from_grid = 2, .to_grid = 3, .rows = 2, .from_view = {0, 0, 0, 1, 1, 1}, .to_view = {0, 1, 2, 0, 1, 2}, .from_views = 2, .to_views = 3};
  out.from_ms = at::arange(24, at::kLong).mul(5).remainder(4).view({12, 2});
  out.to_ms4 = at::arange(96, at::kLong).mul(7).remainder(9).view({12, 2, 4});
  out.weights_ms4 = wave(3, {12, 2, 4}).abs();
  out.valid_n = at::tensor({0, 3, 4, 5, 9, 11, 14, 17, 18, 20, 23}, at::kLong);
  return out;
}

TEST(Matched, RowsAreThoseOfEachPairAlone) {
  model::AttentionPool pool({.width = 8, .heads = 2});
  pool.parameters().initialise(3);
  pool.to(at::kCPU, at::kDouble);
  const DeviceMatches matches = some_matches();
  for (const bool from : {true, false}) {
    const int64_t views = from ? 2 : 3;
    const Tensor tokens = wave(1, {2 * views, from ? 4 : 9, 8});
    const Tensor rows = model::matched(pool, tokens, matches, from ? model::MatchSide::from : model::MatchSide::to);
    ASSERT_EQ(rows.size(0), matches.valid_n.size(0));
    for (int64_t i = 0; i < rows.size(0); ++i) {
      const int64_t at = matches.valid_n[i].item<int64_t>(), pair = at / 2, row = at % 2, of_picture = pair % 6;
      const int64_t view = pair / 6 * views + (from ? matches.layout.from_view : matches.layout.to_view)[static_cast<size_t>(of_picture)];
      const Tensor places = from ? matches.from_ms[pair][row].view({1, 1, 1}) : matches.to_ms4[pair][row].view({1, 1, 4});
      const Tensor alone = pool.apply(tokens.narrow(0, view, 1), places, from ? Tensor() : matches.weights_ms4[pair][row].view({1, 1, 4}));
      EXPECT_LT(rows[i].sub(alone[0][0]).abs().max().item<double>(), 1e-12) << i;
    }
  }
  EXPECT_THROW(model::matched(pool, wave(1, {4, 9, 8}), matches, model::MatchSide::from), std::invalid_argument);
}

}  // namespace
}  // namespace flowrun
