#include "nodes/lib/tensor/model/rotary.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/linspace.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/zeros.h>
#include <cmath>
#include <numbers>
#include <stdexcept>

namespace flowrun::model {
namespace {

/// Once around the rectangle from (0, 0) to (1, 1), as many registers on each side: [registers, 2].
Tensor around_the_edge(int64_t registers, const at::TensorOptions& options) {
  const int64_t side = registers / 4;
  const Tensor along = at::arange(side, options).div(static_cast<double>(side)), low = at::zeros({side}, options), high = low.add(1);
  const Tensor row = at::cat({along, high, high.sub(along), low}), column = at::cat({low, along, high, high.sub(along)});
  return at::stack({row, column}, -1);
}

}  // namespace

Tensor rotary_places(Positions positions, int64_t grid, at::ScalarType dtype) {
  const auto count = static_cast<double>(grid);
  const Tensor side =
      positions == Positions::rotary ? at::arange(grid, at::kDouble).add(0.5).mul(2 / count).sub(1) : at::linspace(0, 1, grid, at::kDouble);
  const Tensor row = side.unsqueeze(1).expand({grid, grid}), column = side.unsqueeze(0).expand({grid, grid});
  return at::stack({row, column}, -1).reshape({grid * grid, 2}).to(dtype);
}

Tensor rotary_frequencies(Positions positions, int64_t head_width, at::ScalarType dtype) {
  if (head_width % 4 != 0)
    throw std::invalid_argument("rotary positions need heads whose width is a multiple of 4, not " + std::to_string(head_width));
  const int64_t quarter = head_width / 4;
  const Tensor none = at::zeros({quarter}, at::kDouble);
  Tensor turns_2E;
  if (positions == Positions::rotary) {
    const Tensor turns = at::arange(quarter, at::kDouble).div(static_cast<double>(quarter)).neg().mul(std::log(100.0)).exp();
    turns_2E = at::stack({at::cat({turns, none, turns, none}), at::cat({none, turns, none, turns})});
  } else {
    const Tensor turns = at::linspace(0, -1, quarter, at::kDouble).mul(std::log(1e4)).exp().mul(7);
    turns_2E = at::stack({at::cat({turns, turns, none, none}), at::cat({none, none, turns, turns})});
  }
  return turns_2E.mul(2 * std::numbers::pi).to(dtype);
}

Tensor with_register_places(Positions positions, const Tensor& places_BK2, int64_t registers) {
  if (registers == 0) return places_BK2;
  Tensor front = at::zeros({1, registers, 2}, places_BK2.options());
  if (positions == Positions::rotary_capi) {
    const Tensor low = places_BK2.amin({1}, /*keepdim=*/true), high = places_BK2.amax({1}, /*keepdim=*/true);
    front = low.add(around_the_edge(registers, places_BK2.options()).mul(high.sub(low)));
  }
  return at::cat({front.expand({places_BK2.size(0), registers, 2}), places_BK2}, 1);
}

Rotation rotation(const Tensor& places_BS2, const Tensor& frequencies_2E) {
  // Sums of products, not a matrix product: autocast would take that to half precision.
  const Tensor row = places_BS2.select(-1, 0).unsqueeze(-1), column = places_BS2.select(-1, 1).unsqueeze(-1);
  const Tensor angle = row.mul(frequencies_2E.select(0, 0)).add(column.mul(frequencies_2E.select(0, 1))).unsqueeze(1);
  return {angle.cos(), angle.sin()};
}

Tensor rotated(const Tensor& x_BHSE, const Rotation& rotation) {
  const int64_t width = rotation.cos.size(-1), half = width / 2, more = x_BHSE.size(-1) - width;
  const Tensor x = x_BHSE.narrow(-1, 0, width).to(rotation.cos.scalar_type());
  const Tensor partner = at::cat({x.narrow(-1, half, half).neg(), x.narrow(-1, 0, half)}, -1);
  const Tensor turned = x.mul(rotation.cos).addcmul(partner, rotation.sin).to(x_BHSE.scalar_type());
  return more == 0 ? turned : at::cat({turned, x_BHSE.narrow(-1, width, more)}, -1);
}

}  // namespace flowrun::model
