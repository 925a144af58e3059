// The types and shapes at the ports of the training stream, from types, models and masks.
#include <map>
#include <nlohmann/json.hpp>

#include "nodes/device.h"
#include "nodes/model_resources.h"
#include "tools/flowrun/pipeline/plan_facts.h"
#include "tools/flowrun/text.h"

namespace flowrun::tool {
namespace {

struct Shape {
  std::string text;
  double bytes = -1;
};

std::string number(double value) { return value == static_cast<double>(static_cast<int64_t>(value)) ? print("%.0f", value) : print("%.1f", value); }

/// "256 x 3 x 224 x 224 float32" and its bytes.
Shape shape(const std::vector<double>& axes, const char* type, double each) {
  Shape out{"", each};
  for (const double axis : axes) out.text += (out.text.empty() ? "" : " x ") + number(axis), out.bytes *= axis;
  out.text += std::string(" ") + type;
  return out;
}

Shape both(const std::string& a_name, const Shape& a, const std::string& b_name, const Shape& b) {
  return {a_name + " " + a.text + ", " + b_name + " " + b.text, a.bytes + b.bytes};
}

class Ports {
 public:
  Ports(const PlanFacts& facts, CheckedPipeline& pipeline) : facts_(facts), pipeline_(pipeline) {
    for (const MaskSizes::Group& group : facts.masks.groups) {
      const auto share = 1.0 / static_cast<double>(facts.masks.groups.size());
      masks_.visible += share * static_cast<double>(group.visible);
      masks_.regions += share * static_cast<double>(group.regions);
      masks_.patches += share * static_cast<double>(group.patches);
    }
    images_ = static_cast<double>(facts.grouping.group * facts.views);
    rows_ = images_ * static_cast<double>(facts.masks.repeats);
  }

  std::vector<PlannedPort> list() {
    std::vector<PlannedPort> out;
    for (const int n : pipeline_.nodes_of(pipeline_.training_source)) {
      CheckedNode& node = pipeline_.nodes[static_cast<size_t>(n)];
      side_[n] = side_of(node);
      for (size_t p = 0; p < node.type->ports.size(); ++p) {
        const PortDoc& port = node.type->ports[p];
        if (port.input || !is_read({n, static_cast<int>(p)})) continue;
        const Shape of = shape_of(n, port);
        out.push_back({node.name, port.name, port.type->name, of.text, of.bytes});
      }
    }
    return out;
  }

  int side() const { return last_side_; }

 private:
  bool is_read(const PortSource& port) const {
    for (const CheckedNode& reader : pipeline_.nodes) {
      for (const PortSource& from : reader.sources) {
        if (from.node == port.node && from.port == port.port) return true;
      }
    }
    return false;
  }

  const Resource* model_of(const CheckedNode& node) const {
    return node.uses.empty() ? nullptr : facts_.resources[static_cast<size_t>(node.uses[0].model)].get();
  }

  /// The size of a node's pictures: its own "size", else that of its input. 0: not known.
  int side_of(CheckedNode& node) {
    const auto params = write_params(node.node->params());
    int side = 0;
    if (node.scope() <= Scope::sample && params.contains("size") && params["size"].is_number_integer()) side = params["size"].get<int>();
    for (size_t p = 0; side == 0 && p < node.sources.size(); ++p) {
      const std::string type = node.type->ports[p].type->name;
      const bool picture = type == Image::type_name || type == ImageBatch::type_name || type == DeviceImages::type_name;
      if (node.sources[p].node >= 0 && picture) side = side_[node.sources[p].node];
    }
    if (side == 0 && node.scope() >= Scope::batch) side = encoder_side();
    if (side > 0 && node.scope() >= Scope::batch) last_side_ = side;
    return side;
  }

  int encoder_side() const {
    for (const auto& resource : facts_.resources) {
      if (const auto* const vit = dynamic_cast<const VitResource*>(resource.get())) return static_cast<int>(vit->vit.config().image);
    }
    return 0;
  }

  /// O of a prediction: rows of the last layer's weight. Of a target: O of the prediction that it is compared with.
  double out_width(int n) const {
    if (const auto* const predictor = dynamic_cast<const PredictorResource*>(model_of(pipeline_.nodes[static_cast<size_t>(n)]))) {
      const auto& parameters = const_cast<PredictorResource*>(predictor)->parameters();
      return static_cast<double>(parameters[parameters.size() - 1].numel());  // the bias of that layer
    }
    for (const CheckedNode& reader : pipeline_.nodes) {
      bool reads = false;
      for (const PortSource& from : reader.sources) reads = reads || from.node == n;
      for (size_t p = 0; reads && p < reader.sources.size(); ++p) {
        const int from = reader.sources[p].node;
        if (from >= 0 && from != n && std::string(reader.type->ports[p].type->name) == Prediction::type_name) return out_width(from);
      }
    }
    return 0;
  }

  Shape shape_of(int n, const PortDoc& port) {
    const CheckedNode& node = pipeline_.nodes[static_cast<size_t>(n)];
    const std::string type = port.type->name;
    const double side = side_[n], views = facts_.views;
    if (type == Bytes::type_name) return {"a file", facts_.file_bytes.value_or(-1)};
    if (type == Label::type_name) return shape({1}, "int64", 8);
    if (type == Region::type_name) return {views > 1 ? number(views) + " rectangles" : "a rectangle", views * 16};
    if (type == Image::type_name || type == LabelMap::type_name) {
      const double channels = type == Image::type_name ? 3 : 1;
      if (side == 0) return {"as the file and the region are", -1};
      return views > 1 ? shape({views, side, side, channels}, "uint8", 1) : shape({side, side, channels}, "uint8", 1);
    }
    if (type == ImageBatch::type_name) return shape({images_, side, side, 3}, "uint8", 1);
    if (type == LabelMapBatch::type_name) return shape({images_, side, side, 1}, "uint8", 1);
    if (type == LabelBatch::type_name || type == DeviceLabels::type_name) return shape({images_}, "int64", 8);
    if (type == DeviceLabelMaps::type_name) return shape({images_, side, side}, "uint8", 1);
    if (type == DeviceImages::type_name) return shape({images_, 3, side, side}, "float32", 4);
    if (type == Masks::type_name || type == DeviceMasks::type_name) {
      if (facts_.mask_node.empty()) return {"none", 0};
      return both("visible", shape({rows_, masks_.visible}, "int64", 8), "targets", shape({rows_, masks_.regions, masks_.patches}, "int64", 8));
    }
    if (type == Loss::type_name) return shape({1}, "float32", 4);
    const char* const product = facts_.element == 2 ? "bfloat16" : "float32";
    if (type == Prediction::type_name) return shape({rows_, masks_.regions, masks_.patches, out_width(n)}, product, facts_.element);
    if (type == Target::type_name) {
      if (const double width = out_width(n); width > 0) return shape({rows_, masks_.regions, masks_.patches, width}, "float32", 4);
    }
    if (const auto* const vit = dynamic_cast<const VitResource*>(model_of(node))) return encoder_shape(node, type, vit->vit.config());
    return {"not known beforehand", -1};
  }

  Shape encoder_shape(const CheckedNode& node, const std::string& type, const model::VitConfig& config) const {
    const auto width = static_cast<double>(config.width);
    if (type == VisibleTokens::type_name) {
      return shape({rows_, masks_.visible + (config.class_token ? 1 : 0), width}, "float32", 4);
    }
    if (type == EvalTokens::type_name) return shape({images_, static_cast<double>(config.patches() + config.prefix()), width}, "float32", 4);
    if (type == Features::type_name) return shape({images_, width}, "float32", 4);
    if (type == Logits::type_name && node.uses.size() > 1) {
      const auto& head = facts_.models[static_cast<size_t>(node.uses[1].model)];
      return {number(images_) + " x classes of " + head.name + " float32", -1};
    }
    return {"not known beforehand", -1};
  }

  const PlanFacts& facts_;
  CheckedPipeline& pipeline_;
  model::MaskCounts masks_;
  double images_ = 0, rows_ = 0;
  std::map<int, int> side_;
  int last_side_ = 0;
};

}  // namespace

void PlanFacts::list_ports() {
  Ports all(*this, pipeline);
  ports = all.list();
  side = all.side();
}

}  // namespace flowrun::tool
