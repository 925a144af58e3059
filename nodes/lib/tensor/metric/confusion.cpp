#include "nodes/lib/tensor/metric/confusion.h"

#include <ATen/ops/bincount.h>

namespace flowrun::eval {

Tensor confusion(const Tensor& truth, const Tensor& named, int64_t classes, int64_t ignored) {
  const Tensor t = truth.to(at::kLong).flatten(), counted = t.ne(ignored);
  const Tensor pairs = t.mul(classes).add(named.to(at::kLong).flatten()).masked_select(counted);
  return at::bincount(pairs, /*weights=*/{}, classes * classes).view({classes, classes});
}

SegmentScores segment_scores(const Tensor& confusion_CC) {
  const Tensor counts = confusion_CC.to(at::kCPU, at::kDouble), hits_C = counts.diagonal();
  const Tensor union_C = counts.sum(0).add(counts.sum(1)).sub(hits_C);
  const Tensor present = union_C.gt(0), iou = hits_C.masked_select(present).div(union_C.masked_select(present));
  if (iou.numel() == 0) return {};
  return {iou.mean().item<double>(), hits_C.sum().div(counts.sum()).item<double>(), iou.numel()};
}

}  // namespace flowrun::eval
