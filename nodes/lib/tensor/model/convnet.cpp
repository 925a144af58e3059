#include "nodes/lib/tensor/model/convnet.h"

#include <ATen/ops/avg_pool2d.h>
#include <ATen/ops/conv2d.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/max_pool2d.h>
#include <ATen/ops/relu.h>
#include <algorithm>
#include <cmath>
#include <sstream>
#include <stdexcept>

#include "graph/text/error.h"
#include "nodes/lib/tensor/device/weight_casts.h"

namespace flowrun::model {
namespace {

using Kind = ConvLayer::Kind;

Tensor rows_of(const Tensor& map) { return map.dim() == 2 ? map.unsqueeze(1) : map.flatten(2).transpose(1, 2); }

bool has_weights(Kind kind) { return kind == Kind::conv || kind == Kind::linear; }

}  // namespace

ConvLayer ConvLayer::parse(const std::string& text) {
  std::istringstream words(text);
  std::string name, rest;
  std::vector<int64_t> numbers;
  words >> name;
  for (int64_t number = 0; words >> number;) numbers.push_back(number);
  words.clear();
  // All but a padding.
  const size_t sizes = std::min<size_t>(numbers.size(), name == "conv" ? 3 : 2);
  const bool positive = std::all_of(numbers.begin(), numbers.begin() + static_cast<std::ptrdiff_t>(sizes), [](int64_t n) { return n > 0; });
  const auto at = [&](size_t i, int64_t otherwise) { return i < numbers.size() ? numbers[i] : otherwise; };
  const size_t count = numbers.size();
  if (!(words >> rest) && positive && std::all_of(numbers.begin(), numbers.end(), [](int64_t n) { return n >= 0 && n <= 65536; })) {
    if (name == "conv" && count >= 2 && count <= 4) {
      return {.kind = Kind::conv, .channels = numbers[0], .kernel = numbers[1], .stride = at(2, 1), .padding = at(3, numbers[1] / 2)};
    }
    if (name == "linear" && count == 1) return {.kind = Kind::linear, .channels = numbers[0]};
    if ((name == "pool" || name == "average") && (count == 2 || count == 3) && at(2, 0) * 2 <= numbers[0]) {
      return {.kind = name == "pool" ? Kind::pool : Kind::average, .kernel = numbers[0], .stride = numbers[1], .padding = at(2, 0)};
    }
  }
  throw std::invalid_argument("\"" + text +
                              "\" is no layer: \"conv CHANNELS KERNEL [STRIDE [PADDING]]\", \"linear CHANNELS\", \"pool KERNEL STRIDE [PADDING]\" or "
                              "\"average KERNEL STRIDE [PADDING]\"");
}

std::vector<std::string> convnet_arch(std::string_view name) {
  if (name == "alexnet") {
    return {"conv 64 11 4 2", "pool 3 2",   "conv 192 5", "pool 3 2",    "conv 384 3",
            "conv 256 3",     "conv 256 3", "pool 3 2",   "linear 4096", "linear 4096"};
  }
  if (name == "nin") {
    return {"conv 192 5",    "conv 160 1", "conv 96 1",  "pool 3 2 1", "conv 192 5", "conv 192 1", "conv 192 1",
            "average 3 2 1", "conv 192 3", "conv 192 1", "conv 192 1", "conv 192 3", "conv 192 1", "conv 192 1"};
  }
  throw std::invalid_argument("unknown network \"" + std::string(name) + "\": alexnet or nin");
}

ConvNet::ConvNet(ConvNetConfig config) : Encoder("convnet"), config_(std::move(config)) {
  if (config_.layers.empty()) throw std::invalid_argument("a network needs layers");
  int64_t side = config_.image, channels = 3;
  for (size_t i = 0; i < config_.layers.size(); ++i) {
    Layer layer{.is = config_.layers[i]};
    const std::string name = "layers." + std::to_string(i);
    int64_t inputs = channels * layer.is.kernel * layer.is.kernel;
    if (layer.is.kind == Kind::linear) {
      inputs = channels * side * side, side = 1, linear_ = true;
    } else if (linear_) {
      throw std::invalid_argument("layer " + std::to_string(i + 1) + " needs a map, but a linear layer stands before it");
    } else {
      side = (side + 2 * layer.is.padding - layer.is.kernel) / layer.is.stride + 1;
    }
    if (side < 1)
      throw std::invalid_argument("behind layer " + std::to_string(i + 1) + " no place of a picture of " + std::to_string(config_.image) +
                                  " pixels is left");
    if (has_weights(layer.is.kind)) {
      channels = layer.is.channels;
      const int64_t kernel = layer.is.kernel;
      // He et al. 2015, over the fan-out.
      const double deviation = std::sqrt(2.0 / static_cast<double>(channels * kernel * kernel));
      const std::vector<int64_t> shape = layer.is.kind == Kind::linear ? std::vector<int64_t>{channels, inputs}
                                                                       : std::vector<int64_t>{channels, inputs / (kernel * kernel), kernel, kernel};
      layer.weight = parameters_.add_normal(name + ".weight", shape, deviation);
      layer.norm = norms_.add(name + ".norm", channels);
    }
    layer.side = side, layer.channels = channels;
    layers_.push_back(layer);
  }
}

EncoderShape ConvNet::shape() const {
  return {.image = config_.image, .grid = layers_.back().side, .width = layers_.back().channels, .depth = std::ssize(layers_), .norm_eps = 1e-6};
}

std::vector<int64_t> ConvNet::sides() const { return linear_ ? std::vector{config_.image} : std::vector<int64_t>(); }

Tensor ConvNet::run(const Layer& layer, const Tensor& x, const NormPass& pass) const {
  const auto [kind, channels, kernel, stride, padding] = layer.is;
  if (kind == Kind::pool) return at::max_pool2d(x, {kernel, kernel}, {stride, stride}, {padding, padding});
  if (kind == Kind::average) return at::avg_pool2d(x, {kernel, kernel}, {stride, stride}, {padding, padding});
  const Tensor weight = cast_weight(parameters_[layer.weight]);
  const Tensor y = kind == Kind::linear ? at::linear(x.flatten(1), weight) : at::conv2d(x, weight, {}, {stride, stride}, {padding, padding});
  return at::relu(norms_.apply(layer.norm, y, pass));
}

Tokens ConvNet::encode(const Tensor& images_BCHW, const Seen& seen, const EncodeOptions& options) const {
  if (seen.visible_BK.defined())
    throw NodeError("a convolutional network sees whole pictures, not chosen patches: give this node a vision transformer");
  if (images_BCHW.dim() != 4 || images_BCHW.size(1) != 3) throw NodeError("a convolutional network takes pictures of 3 channels");
  if (linear_ && (images_BCHW.size(2) != config_.image || images_BCHW.size(3) != config_.image)) {
    throw NodeError("the network is made for pictures of " + std::to_string(config_.image) + " pixels, since it has a linear layer, and gets " +
                    std::to_string(images_BCHW.size(3)));
  }
  Tokens tokens;
  Tensor x = images_BCHW;
  for (const Layer& layer : layers_) {
    x = run(layer, x, options.norm);
    if (options.maps) tokens.maps_BSD.push_back(rows_of(x));
  }
  tokens.patch = rows_of(x);
  return tokens;
}

std::vector<Tensor> ConvNet::hidden(const Tensor& images_BCHW, const std::vector<int64_t>& layers, Tap tap, bool) const {
  if (tap != Tap::output) throw NodeError("of a convolutional network only the output of its layers can be read: set tap to \"output\"");
  std::vector<Tensor> found;
  Tensor x = images_BCHW;
  for (size_t i = 0; i < layers_.size() && found.size() < layers.size(); ++i) {
    x = run(layers_[i], x, NormPass());
    if (layers[found.size()] == static_cast<int64_t>(i) + 1) found.push_back(rows_of(x));
  }
  if (found.size() < layers.size()) {
    throw NodeError("layer " + std::to_string(layers[found.size()]) + " is asked for, but the network has " + std::to_string(layers_.size()));
  }
  return found;
}

/// Products and kept maps of a picture; norms and activations count as maps alone.
std::optional<Cost> ConvNet::cost(const Pass& pass) const {
  Cost cost;
  const double larger = pass.side > 0 ? pass.side / static_cast<double>(config_.image) : 1;
  for (const Layer& layer : layers_) {
    const auto places = static_cast<double>(layer.side * layer.side) * larger * larger, map = places * static_cast<double>(layer.channels);
    if (!has_weights(layer.is.kind)) {
      cost.saved += map * pass.element;
      continue;
    }
    cost.flops += 2 * places * static_cast<double>(parameters_[layer.weight].numel());
    cost.saved += map * (pass.element + 8);  // of the product, and of norm and activation in float32
    cost.working = std::max(cost.working, 2 * map * pass.element);
  }
  return cost;
}

}  // namespace flowrun::model
