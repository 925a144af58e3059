#include "nodes/lib/tensor/model/sincos.h"

#include <ATen/ops/empty.h>
#include <cmath>
#include <stdexcept>
#include <string>

namespace flowrun::model {

Tensor sincos_table(int64_t grid, int64_t width, at::ScalarType dtype) {
  if (width < 4 || width % 4 != 0) {
    throw std::invalid_argument("the position table needs a width that is a multiple of 4, not " + std::to_string(width));
  }
  const int64_t quarter = width / 4;
  const Tensor table = at::empty({grid * grid, width}, at::kDouble);
  double* out = table.mutable_data_ptr<double>();
  for (int64_t row = 0; row < grid; ++row) {
    for (int64_t col = 0; col < grid; ++col, out += width) {
      for (int64_t k = 0; k < quarter; ++k) {
        const double omega = std::pow(10000.0, -static_cast<double>(k) / static_cast<double>(quarter));
        out[k] = std::sin(static_cast<double>(col) * omega);
        out[quarter + k] = std::cos(static_cast<double>(col) * omega);
        out[2 * quarter + k] = std::sin(static_cast<double>(row) * omega);
        out[3 * quarter + k] = std::cos(static_cast<double>(row) * omega);
      }
    }
  }
  return table.to(dtype);
}

}  // namespace flowrun::model
