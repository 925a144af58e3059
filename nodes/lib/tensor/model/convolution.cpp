#include "nodes/lib/tensor/model/convolution.h"

#include <algorithm>
#include <cmath>

#include "graph/text/error.h"

namespace flowrun::model {

size_t add_convolution(Parameters& parameters, const std::string& name, int64_t in, int64_t out, int64_t kernel) {
  const double deviation = std::sqrt(2.0 / static_cast<double>(out * kernel * kernel));
  return parameters.add_normal(name + ".weight", {out, in, kernel, kernel}, deviation);
}

double count_convolution(Cost& cost, const Tensor& weight, int64_t stride, double side, double element) {
  const double out = std::ceil(side / static_cast<double>(stride)), channels = static_cast<double>(weight.size(0));
  cost.flops += 2 * out * out * static_cast<double>(weight.numel());
  cost.saved += out * out * channels * (element + 8);  // of the convolution, and of norm and activation in float32
  cost.working = std::max(cost.working, 2 * out * out * channels * element);
  return out;
}

Tensor rows_of(const Tensor& map_BCHW) { return map_BCHW.flatten(2).transpose(1, 2); }

Tensor pictures_for(const Tensor& images_BCHW, int64_t channels) {
  if (images_BCHW.dim() != 4 || images_BCHW.size(1) != 3) throw NodeError("a residual network takes pictures of 3 channels");
  // Channels last is faster. oneDNN's backward pass of 1x1 convolutions of fewer than 8 channels writes behind its memory then (PyTorch
  // 2.11, AVX2); no published width is no multiple of 16.
  return images_BCHW.contiguous(channels % 16 == 0 ? at::MemoryFormat::ChannelsLast : at::MemoryFormat::Contiguous);
}

}  // namespace flowrun::model
