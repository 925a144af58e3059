#include "nodes/lib/tensor/model/wide_resnet.h"

#include <ATen/ops/conv2d.h>
#include <ATen/ops/relu.h>
#include <cmath>
#include <numeric>
#include <stdexcept>

#include "graph/text/error.h"
#include "nodes/lib/tensor/device/weight_casts.h"
#include "nodes/lib/tensor/model/convolution.h"

namespace flowrun::model {

WideResNet::WideResNet(WideResNetConfig config) : Encoder("wide_resnet"), config_(config) {
  if (config.depth < 10 || config.depth % 6 != 4) {
    throw std::invalid_argument("there is no wide residual network of " + std::to_string(config.depth) + " layers: 6n + 4, as 10, 16, 28 and 40");
  }
  if (config.width < 1 || config.stem_width < 1) throw std::invalid_argument("a wide residual network needs a width");
  stem_ = add_convolution(parameters_, "conv1", 3, config.stem_width, 3);
  int64_t in = config.stem_width;
  for (int64_t group = 0; group < groups_; ++group) {
    for (int64_t i = 0; i < each(); ++i, in = channels(group)) {
      const std::string name = "block" + std::to_string(group + 1) + ".layer." + std::to_string(i);
      blocks_.push_back(add_block(name, in, channels(group), group > 0 && i == 0 ? 2 : 1));
    }
  }
  last_norm_ = norms_.add("bn1", in);
}

WideResNet::Block WideResNet::add_block(const std::string& name, int64_t in, int64_t out, int64_t stride) {
  Block block{};
  block.norm1 = norms_.add(name + ".bn1", in);
  block.convolution1 = add_convolution(parameters_, name + ".conv1", in, out, 3);
  block.norm2 = norms_.add(name + ".bn2", out);
  block.convolution2 = add_convolution(parameters_, name + ".conv2", out, out, 3);
  if (in != out) block.shortcut = add_convolution(parameters_, name + ".convShortcut", in, out, 1);
  block.stride = stride;
  return block;
}

std::vector<StageShape> WideResNet::stages(double side) const {
  if (side == 0) side = static_cast<double>(config_.image);
  std::vector<StageShape> found = {{.stage = 1, .channels = static_cast<double>(config_.stem_width), .side = side}};
  for (int64_t group = 0; group < groups_; ++group) {
    if (group > 0) side = std::ceil(side / 2);
    found.push_back({.stage = group + 2, .channels = static_cast<double>(channels(group)), .side = side});
  }
  return found;
}

EncoderShape WideResNet::shape() const {
  EncoderShape shape;
  shape.image = config_.image, shape.grid = static_cast<int64_t>(stages(0).back().side);
  shape.width = channels(groups_ - 1), shape.depth = groups_;
  shape.norm_eps = 1e-6;
  return shape;
}

Tensor WideResNet::convolved(size_t weight, const Tensor& x, int64_t stride) const {
  const Tensor kernel = cast_weight(parameters_[weight]);
  const int64_t padding = kernel.size(2) / 2;
  return at::conv2d(x, kernel, {}, {stride, stride}, {padding, padding});
}

Tensor WideResNet::activated(size_t norm, const Tensor& x, const NormPass& pass) const { return at::relu(norms_.apply(norm, x, pass)); }

/// The shortcut begins behind the first ReLU if channels change, otherwise at the sum before it.
Tensor WideResNet::run(const Block& block, const Tensor& x, const Tensor& normed, const NormPass& pass) const {
  const Tensor first = at::relu(normed);
  const Tensor second = activated(block.norm2, convolved(block.convolution1, first, block.stride), pass);
  return convolved(block.convolution2, second).add(block.shortcut ? convolved(*block.shortcut, first, block.stride) : x);
}

WideResNet::Maps WideResNet::maps(const Tensor& images_BCHW, const NormPass& pass, int64_t last) const {
  Tensor x = convolved(stem_, pictures_for(images_BCHW, std::gcd(config_.width, config_.stem_width)));
  Maps found{.raw = {x}, .normed = {}};
  for (int64_t b = 0; b < last * each(); ++b) {
    const Block& block = blocks_[static_cast<size_t>(b)];
    const Tensor normed = norms_.apply(block.norm1, x, pass);
    if (b > 0 && b % each() == 0) found.normed.push_back(normed);
    x = run(block, x, normed, pass);
    if ((b + 1) % each() == 0) found.raw.push_back(x);
  }
  return found;
}

Tokens WideResNet::encode(const Tensor& images_BCHW, const Seen& seen, const EncodeOptions& options) const {
  if (seen.visible_BK.defined()) throw NodeError("a residual network sees whole pictures, not chosen patches: give this node a vision transformer");
  std::vector<Tensor> none;
  return encode_stages(images_BCHW, options, {}, none);
}

Tokens WideResNet::encode_stages(const Tensor& images_BCHW, const EncodeOptions& options, const StageRequest& request,
                                 std::vector<Tensor>& maps_BCHW) const {
  Maps all = maps(images_BCHW, options.norm);
  all.normed.push_back(norms_.apply(last_norm_, all.raw.back(), options.norm));
  maps_BCHW.clear();
  for (const int64_t stage : request.stages) {
    const auto at = static_cast<size_t>(stage);
    maps_BCHW.push_back(request.before_relu && stage > 1 ? all.normed.at(at - 2) : all.raw.at(at - 1));
  }
  Tokens tokens;
  if (options.maps) {
    for (size_t group = 1; group < all.raw.size(); ++group) tokens.maps_BSD.push_back(rows_of(all.raw[group]));
  }
  tokens.patch = rows_of(at::relu(all.normed.back()));
  return tokens;
}

std::vector<Tensor> WideResNet::hidden(const Tensor& images_BCHW, const std::vector<int64_t>& groups, Tap tap, bool norm_last) const {
  if (tap != Tap::output) throw NodeError("of a residual network only the output of its stages can be read: set tap to \"output\"");
  if (!groups.empty() && groups.back() > groups_) {
    throw NodeError("stage " + std::to_string(groups.back()) + " is asked for, but the network has " + std::to_string(groups_));
  }
  std::vector<Tensor> found;
  if (groups.empty()) return found;
  const std::vector<Tensor> all = maps(images_BCHW, NormPass(), groups.back()).raw;
  for (const int64_t group : groups) {
    const Tensor& map = all[static_cast<size_t>(group)];
    found.push_back(rows_of(norm_last && group == groups_ ? activated(last_norm_, map, NormPass()) : map));
  }
  return found;
}

std::optional<Cost> WideResNet::cost(const Pass& pass) const {
  Cost cost;
  const auto count = [&](size_t weight, int64_t stride, double side) {
    return count_convolution(cost, parameters_[weight], stride, side, pass.element);
  };
  double side = count(stem_, 1, pass.side > 0 ? pass.side : static_cast<double>(config_.image));
  for (const Block& block : blocks_) {
    if (block.shortcut) count(*block.shortcut, block.stride, side);
    side = count(block.convolution1, block.stride, side);
    count(block.convolution2, 1, side);
  }
  return cost;
}

}  // namespace flowrun::model
