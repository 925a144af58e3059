#include "nodes/lib/tensor/target/sharpen.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/full.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/zeros.h>
#include <algorithm>

#include "nodes/lib/tensor/device/float32.h"
#include "nodes/lib/tensor/model/rows.h"

namespace flowrun::target {

Tensor sharpened(const Tensor& scores_nK, const Tensor& center_K, double temperature) {
  const at::NoGradGuard no_grad;
  const Tensor wide = at_least_float(scores_nK);
  const Tensor centred = center_K.defined() ? wide.sub(center_K) : wide;
  return centred.div(temperature).softmax(-1);
}

Tensor sum_and_count(const Tensor& scores_nK, const Tensor& image_n, int64_t images) {
  const at::NoGradGuard no_grad;
  const auto options = scores_nK.options().dtype(at::kDouble);
  if (!image_n.defined()) return at::cat({scores_nK.to(at::kDouble).sum(0), at::full({1}, static_cast<double>(scores_nK.size(0)), options)});
  const Tensor share_1n = model::share_of_image(image_n, images, at::kDouble).unsqueeze(0);
  Tensor sum_1K = at::zeros({1, scores_nK.size(1)}, options);
  // In parts: the scores of all patches in float64 would be as large as everything else.
  constexpr int64_t part = 4096;
  for (int64_t first = 0; first < scores_nK.size(0); first += part) {
    const int64_t count = std::min(part, scores_nK.size(0) - first);
    sum_1K.add_(at::matmul(share_1n.narrow(1, first, count), scores_nK.narrow(0, first, count).to(at::kDouble)));
  }
  return at::cat({sum_1K.squeeze(0), share_1n.sum(1).round()});
}

}  // namespace flowrun::target
