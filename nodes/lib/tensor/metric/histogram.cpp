#include "nodes/lib/tensor/metric/histogram.h"

#include <ATen/ops/aminmax.h>
#include <ATen/ops/histc.h>

namespace flowrun::health {

io::Histogram histogram(const Tensor& values) {
  constexpr int64_t buckets = 30;
  const auto [least, greatest] = at::aminmax(values);
  io::Histogram out;
  out.min = least.item<double>(), out.max = greatest.item<double>();
  out.count = static_cast<double>(values.numel());
  out.sum = values.sum(at::kDouble).item<double>();
  out.sum_of_squares = values.to(at::kDouble).square().sum().item<double>();
  if (out.min == out.max) {
    out.limits = {out.max}, out.counts = {out.count};
    return out;
  }
  const Tensor counts = at::histc(values.flatten().to(at::kFloat), buckets, out.min, out.max).to(at::kCPU, at::kDouble);
  out.counts.assign(counts.const_data_ptr<double>(), counts.const_data_ptr<double>() + buckets);
  for (int64_t i = 1; i <= buckets; ++i) out.limits.push_back(out.min + (out.max - out.min) * static_cast<double>(i) / static_cast<double>(buckets));
  return out;
}

}  // namespace flowrun::health
