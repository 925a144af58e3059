#include "nodes/lib/tensor/model/resnet.h"

#include <ATen/ops/conv2d.h>
#include <ATen/ops/max_pool2d.h>
#include <ATen/ops/relu.h>
#include <algorithm>
#include <cmath>
#include <numeric>
#include <stdexcept>

#include "graph/text/error.h"
#include "nodes/lib/tensor/device/weight_casts.h"
#include "nodes/lib/tensor/model/convolution.h"

namespace flowrun::model {

ResNetConfig resnet_arch(int64_t depth) {
  if (depth == 18) return {.blocks = {2, 2, 2, 2}, .bottleneck = false};
  if (depth == 34) return {.blocks = {3, 4, 6, 3}, .bottleneck = false};
  if (depth == 50) return {.blocks = {3, 4, 6, 3}, .bottleneck = true};
  if (depth >= 8 && depth <= 110 && depth % 6 == 2) {
    const int64_t each = (depth - 2) / 6;
    return {.blocks = {each, each, each}, .width = 16, .bottleneck = false, .small_stem = true, .image = 32};
  }
  throw std::invalid_argument("there is no ResNet-" + std::to_string(depth) + ": 18, 34, 50, or 6n + 2 from 8 to 110 for pictures of 32 pixels");
}

ResNet::ResNet(ResNetConfig config) : Encoder("resnet"), config_(std::move(config)) {
  const bool empty = std::any_of(config_.blocks.begin(), config_.blocks.end(), [](int64_t count) { return count < 1; });
  if (config_.blocks.empty() || empty || config_.width < 1) throw std::invalid_argument("a residual network needs a width, and blocks in each stage");
  if (!config_.strides.empty() && config_.strides.size() != config_.blocks.size()) {
    throw std::invalid_argument("the network has " + std::to_string(config_.blocks.size()) + " stages, but there are " +
                                std::to_string(config_.strides.size()) + " strides");
  }
  if (config_.stem_width == 0) config_.stem_width = config_.width;
  const auto stages = static_cast<int64_t>(config_.blocks.size()) + 1;
  if (config_.last == 0) config_.last = stages;
  if (config_.first < 1 || config_.first > config_.last || config_.last > stages || config_.last < 2) {
    throw std::invalid_argument("a network of " + std::to_string(stages) + " stages has no part from " + std::to_string(config_.first) + " to " +
                                std::to_string(config_.last) + " with blocks in it");
  }
  if (has(1)) stem_ = config_.small_stem ? add("conv1", "bn1", 3, config_.stem_width, 3, 1) : add("conv1", "bn1", 3, config_.stem_width, 7, 2);
  int64_t in = config_.stem_width;
  for (size_t stage = 0; stage < config_.blocks.size(); ++stage) {
    if (!has(static_cast<int64_t>(stage) + 2)) {
      in = out_channels(stage);
      continue;
    }
    for (int64_t i = 0; i < config_.blocks[stage]; ++i) {
      add_block("layer" + std::to_string(stage + 1) + "." + std::to_string(i), stage, in, config_.width << stage, i == 0 ? stride(stage) : 1);
      in = out_channels(stage);
    }
  }
}

ResNet::Convolution ResNet::add(const std::string& name, const std::string& norm, int64_t in, int64_t out, int64_t kernel, int64_t stride,
                                double gain) {
  const size_t weight = add_convolution(parameters_, name, in, out, kernel);
  return {.weight = weight, .norm = norms_.add(norm, out, /*affine=*/true, gain), .stride = stride, .padding = kernel / 2};
}

void ResNet::add_block(const std::string& name, size_t stage, int64_t in, int64_t width, int64_t stride) {
  Block block{.convolutions = {}, .shortcut = {}, .stage = stage};
  const double last = config_.zero_last ? 0 : 1;
  const int64_t out = out_channels(stage);
  if (config_.bottleneck) {
    block.convolutions.push_back(add(name + ".conv1", name + ".bn1", in, width, 1, 1));
    block.convolutions.push_back(add(name + ".conv2", name + ".bn2", width, width, 3, stride));
    block.convolutions.push_back(add(name + ".conv3", name + ".bn3", width, out, 1, 1, last));
  } else {
    block.convolutions.push_back(add(name + ".conv1", name + ".bn1", in, width, 3, stride));
    block.convolutions.push_back(add(name + ".conv2", name + ".bn2", width, out, 3, 1, last));
  }
  if (stride != 1 || in != out) block.shortcut = add(name + ".downsample.0", name + ".downsample.1", in, out, 1, stride);
  blocks_.push_back(std::move(block));
}

std::vector<StageShape> ResNet::stages(double side) const {
  std::vector<StageShape> found = all_stages(side);
  std::erase_if(found, [&](const StageShape& at) { return !has(at.stage); });
  return found;
}

StageShape ResNet::branches_from() const { return config_.first == 1 ? StageShape() : all_stages(0)[static_cast<size_t>(config_.first) - 2]; }

std::vector<StageShape> ResNet::all_stages(double side) const {
  if (side == 0) side = static_cast<double>(config_.image);
  const auto shrink = [&](int64_t by) { side = std::ceil(side / static_cast<double>(by)); };
  if (!config_.small_stem) shrink(2), shrink(2);
  std::vector<StageShape> found = {{.stage = 1, .channels = static_cast<double>(config_.stem_width), .side = side}};
  for (size_t stage = 0; stage < config_.blocks.size(); ++stage) {
    shrink(stride(stage));
    found.push_back({.stage = static_cast<int64_t>(stage) + 2, .channels = static_cast<double>(out_channels(stage)), .side = side});
  }
  return found;
}

EncoderShape ResNet::shape() const {
  EncoderShape shape;
  shape.image = config_.image, shape.grid = static_cast<int64_t>(stages(0).back().side);
  shape.width = out_channels(static_cast<size_t>(config_.last) - 2), shape.depth = config_.last - std::max<int64_t>(config_.first, 2) + 1;
  shape.norm_eps = 1e-6;
  return shape;
}

Tensor ResNet::run(const Convolution& at, const Tensor& x, const NormPass& pass) const {
  const Tensor y = at::conv2d(x, cast_weight(parameters_[at.weight]), {}, {at.stride, at.stride}, {at.padding, at.padding});
  return norms_.apply(at.norm, y, pass);
}

Tensor ResNet::sum(const Block& block, const Tensor& x, const NormPass& pass) const {
  Tensor y = x;
  for (size_t i = 0; i < block.convolutions.size(); ++i) {
    if (i > 0) y = at::relu(y);
    y = run(block.convolutions[i], y, pass);
  }
  return y.add(block.shortcut ? run(*block.shortcut, x, pass) : x);
}

Tensor ResNet::run(const Block& block, const Tensor& x, const NormPass& pass) const { return at::relu(sum(block, x, pass)); }

Tensor ResNet::stem(const Tensor& images_BCHW, const NormPass& pass) const {
  if (!has(1)) throw NodeError("a network without its stem takes maps, not pictures: give it to encode.maps");
  const Tensor x = at::relu(run(stem_, pictures_for(images_BCHW, std::gcd(config_.width, config_.stem_width)), pass));
  return config_.small_stem ? x : at::max_pool2d(x, {3, 3}, {2, 2}, {1, 1});
}

Tokens ResNet::encode(const Tensor& images_BCHW, const Seen& seen, const EncodeOptions& options) const {
  if (seen.visible_BK.defined()) throw NodeError("a residual network sees whole pictures, not chosen patches: give this node a vision transformer");
  std::vector<Tensor> none;
  return encode_stages(images_BCHW, options, {}, none);
}

Tokens ResNet::encode_stages(const Tensor& images_BCHW, const EncodeOptions& options, const StageRequest& request,
                             std::vector<Tensor>& maps_BCHW) const {
  Tokens tokens;
  maps_BCHW.clear();
  const std::vector<int64_t>& stages = request.stages;
  const auto take = [&](size_t stage, const Tensor& x) {
    if (std::find(stages.begin(), stages.end(), static_cast<int64_t>(stage)) != stages.end()) maps_BCHW.push_back(x);
  };
  Tensor x = stem(images_BCHW, options.norm);
  take(1, x);
  for (size_t b = 0; b < blocks_.size(); ++b) {
    const Tensor before = sum(blocks_[b], x, options.norm);
    x = at::relu(before);
    const bool ends = b + 1 == blocks_.size() || blocks_[b + 1].stage != blocks_[b].stage;
    if (!ends) continue;
    take(blocks_[b].stage + 2, request.before_relu ? before : x);
    if (options.maps) tokens.maps_BSD.push_back(rows_of(x));
  }
  tokens.patch = rows_of(x);
  return tokens;
}

Tensor ResNet::encode_map(const Tensor& map_BCHW, const EncodeOptions& options) const {
  Tensor x = map_BCHW;
  for (const Block& block : blocks_) x = run(block, x, options.norm);
  return x;
}

std::vector<Tensor> ResNet::hidden(const Tensor& images_BCHW, const std::vector<int64_t>& stages, Tap tap, bool) const {
  if (tap != Tap::output) throw NodeError("of a residual network only the output of its stages can be read: set tap to \"output\"");
  std::vector<Tensor> found;
  Tensor x = stem(images_BCHW, NormPass());
  for (size_t b = 0; b < blocks_.size() && found.size() < stages.size(); ++b) {
    x = run(blocks_[b], x, NormPass());
    const bool ends = b + 1 == blocks_.size() || blocks_[b + 1].stage != blocks_[b].stage;
    if (ends && stages[found.size()] == static_cast<int64_t>(blocks_[b].stage) + 1) found.push_back(rows_of(x));
  }
  if (found.size() < stages.size())
    throw NodeError("stage " + std::to_string(stages[found.size()]) + " is asked for, but the network has " + std::to_string(config_.blocks.size()));
  return found;
}

/// Convolutions and the kept maps, of a picture; norms and activations count as maps alone.
std::optional<Cost> ResNet::cost(const Pass& pass) const {
  Cost cost;
  const auto count = [&](const Convolution& at, double side) {
    return count_convolution(cost, parameters_[at.weight], at.stride, side, pass.element);
  };
  double side = pass.side > 0 ? pass.side : static_cast<double>(config_.image);
  if (has(1)) {
    side = count(stem_, side);
    if (!config_.small_stem) side = std::ceil(side / 2);
  } else {
    side = all_stages(side)[static_cast<size_t>(config_.first) - 2].side;
  }
  for (const Block& block : blocks_) {
    double inner = side;
    for (const Convolution& at : block.convolutions) inner = count(at, inner);
    if (block.shortcut) count(*block.shortcut, side);
    side = inner;
  }
  return cost;
}

}  // namespace flowrun::model
