#include "tools/app/draw/masks.h"

#include <algorithm>
#include <memory>
#include <set>

#include "nodes/lib/host/mask/mask_statistics.h"
#include "nodes/lib/host/types/host_types.h"
#include "tools/app/draw/mask_picture.h"
#include "tools/app/load/load.h"

namespace flowrun::app {
namespace {

constexpr size_t examples_wanted = 8;

bool is_type(const PortDoc& port, const char* name) { return std::string(port.type->name) == name; }

bool gives(const NodeType& type, const char* name) {
  return std::any_of(type.ports.begin(), type.ports.end(), [&](const PortDoc& port) { return !port.input && is_type(port, name); });
}

std::string joined(const std::vector<std::string>& names) {
  std::string out;
  for (const std::string& name : names) out += (out.empty() ? "" : ", ") + name;
  return out;
}

CheckedNode& choose(CheckedPipeline& pipeline, const MaskReportArgs& args) {
  std::vector<std::string> names;
  CheckedNode* found = nullptr;
  for (CheckedNode* node : mask_nodes(pipeline)) {
    names.push_back(node->name);
    if (args.node.empty() || args.node == node->name) found = node;
  }
  if (names.empty()) throw PipelineError("error: " + args.pipeline.file + " has no mask node: add one, such as mask.rectangles");
  if (found == nullptr) throw PipelineError("error: no mask node \"" + args.node + "\"; there is " + joined(names));
  if (args.node.empty() && names.size() > 1) throw PipelineError("error: several nodes draw masks: choose one of " + joined(names) + " with --node");
  return *found;
}

/// The nodes that a node descends from, nearest first; only along inputs of type `name` when it is not null.
std::vector<CheckedNode*> ancestors(CheckedPipeline& pipeline, const CheckedNode& node, const char* name) {
  std::vector<CheckedNode*> out;
  std::set<int> seen;
  const auto add = [&](const CheckedNode& from) {
    for (size_t port = 0; port < from.sources.size(); ++port) {
      const int source = from.sources[port].node;
      if (source < 0 || (name && !is_type(from.ports[port], name)) || !seen.insert(source).second) continue;
      out.push_back(&pipeline.nodes[static_cast<size_t>(source)]);
    }
  };
  add(node);
  for (size_t i = 0; i < out.size(); ++i) add(*out[i]);
  return out;
}

/// Side of the images in a stack, from the nearest node that sets the size of its pictures.
std::optional<int> stacked_size(CheckedPipeline& pipeline, const CheckedNode& stack) {
  for (CheckedNode* node : ancestors(pipeline, stack, Image::type_name)) {
    const nlohmann::ordered_json params = write_params(node->node->params());
    if (params.value("fit", "square") != "square") return {};
    if (const auto size = params.find("size"); size != params.end() && size->is_number_integer()) return size->get<int>();
  }
  return {};
}

/// Side of the images for all encoders of the pipeline.
std::optional<int> encoder_size(CheckedPipeline& pipeline) {
  std::set<int> sizes;
  for (CheckedModel& model : pipeline.models) {
    const nlohmann::ordered_json params = write_params(model.model->params());
    if (const auto image = params.find("image"); image != params.end() && image->is_number_integer()) sizes.insert(image->get<int>());
  }
  return sizes.size() == 1 ? std::optional(*sizes.begin()) : std::nullopt;
}

struct Setting {
  int size;  // of images, pixels
  int views;
  Grouping grouping;
};

/// Of a picture in a stack: as many as a node before it makes.
int stacked_views(CheckedPipeline& pipeline, const CheckedNode& stack) {
  double views = 1;
  for (CheckedNode* node : ancestors(pipeline, stack, nullptr)) {
    NodePlan plan;
    if (node->scope() <= Scope::sample) node->node->plan(plan);
    views = std::max(views, plan.views);
  }
  return static_cast<int>(views);
}

Setting setting_of(CheckedPipeline& pipeline, const CheckedNode& node, int size) {
  for (CheckedNode* stack : ancestors(pipeline, node, nullptr)) {
    const auto grouping = stack->node->grouping();
    if (!grouping) continue;
    auto side = size > 0 ? std::optional(size) : stacked_size(pipeline, *stack);
    if (!side) side = encoder_size(pipeline);
    if (!side) throw PipelineError("error: " + node.name + ": the pipeline doesn't say how large its images are: give --size PIXELS");
    return {*side, stacked_views(pipeline, *stack), *grouping};
  }
  throw PipelineError("error: " + node.name + ": no node upstream stacks images to groups");
}

/// The objects of the node's ports, made here.
class Harness {
 public:
  Harness(CheckedNode& node, const Setting& setting) : node_(node) {
    for (const PortDoc& port : node.ports) {
      const bool images = port.input && is_type(port, ImageBatch::type_name);
      if (port.input && !port.optional && !images) {
        throw PipelineError("error: " + node.name + ": masks that depend on " + port.name + " can't be drawn without running the pipeline");
      }
      const bool used = images || !port.input;
      slots_.push_back({used ? static_cast<int>(objects_.size()) : -1, false});
      objects_.push_back(used ? port.type->make() : nullptr);
      if (images) images_ = static_cast<ImageBatch*>(objects_.back());
      if (!port.input && is_type(port, Masks::type_name)) masks_ = static_cast<Masks*>(objects_.back());
    }
    if (!node.uses.empty()) throw PipelineError("error: " + node.name + ": masks that depend on models can't be drawn without running the pipeline");
    if (images_) images_->height = images_->width = setting.size, images_->views = setting.views;
    if (images_) images_->images = setting.grouping.group * setting.views;
  }
  Harness(const Harness&) = delete;
  Harness& operator=(const Harness&) = delete;
  ~Harness() {
    for (size_t i = 0; i < objects_.size(); ++i) {
      if (objects_[i]) node_.ports[i].type->destroy(objects_[i]);
    }
  }

  const Masks& draw(const RunInfo& run, int64_t group, const Grouping& grouping) {
    const int64_t per_step = grouping.size / grouping.group;
    uint64_t unused = 0;
    node_.node->run(Call{objects_.data(), nullptr, slots_.data()},
                    GroupContext{run, run.seed, node_.stream, 0, static_cast<uint64_t>(group), group / per_step + 1, grouping.group, per_step,
                                 LedgerEntry(&unused)});
    return *masks_;
  }

 private:
  CheckedNode& node_;
  std::vector<void*> objects_;
  std::vector<PortSlot> slots_;
  ImageBatch* images_ = nullptr;
  Masks* masks_ = nullptr;
};

}  // namespace

std::vector<CheckedNode*> mask_nodes(CheckedPipeline& pipeline) {
  std::vector<CheckedNode*> out;
  for (CheckedNode& node : pipeline.nodes) {
    if (node.scope() == Scope::batch && gives(*node.type, Masks::type_name)) out.push_back(&node);
  }
  return out;
}

/// Draws `groups` groups and hands each to `take`. They stand for the whole run: where masks change over a run, these do.
template <class Take>
Setting draw_groups(CheckedPipeline& pipeline, CheckedNode& node, int64_t groups, int size, Take&& take) {
  const Setting setting = setting_of(pipeline, node, size);
  RunInfo run;
  run.seed = pipeline.seed;
  run.batch = setting.grouping.size;
  run.total_steps = std::max<int64_t>(1, groups * setting.grouping.group / setting.grouping.size);
  node.node->open({run, node.name, node.stream});
  Harness harness(node, setting);
  for (int64_t g = 0; g < groups; ++g) {
    try {
      take(harness.draw(run, g, setting.grouping), g);
    } catch (const std::exception& error) {
      throw RunError(node.name + ": " + error.what());
    }
  }
  return setting;
}

DrawnMasks draw_masks(CheckedPipeline& pipeline, CheckedNode& node, int64_t groups, int size) {
  mask::MaskStatistics statistics;
  std::vector<ShownMask> examples;
  const Setting setting = draw_groups(pipeline, node, groups, size, [&](const Masks& masks, int64_t g) {
    Masks read = masks;
    if (masks.region_size > 0) read.map.clear();  // most nodes that train read the lists
    statistics.add(read);
    // Each from another group: sizes differ between groups.
    if (examples.size() < examples_wanted) examples.push_back(masks.shown(g % masks.rows()));
  });
  DrawnMasks out{.title = "", .summary = statistics.summary(), .picture = ""};
  const std::string grid = std::to_string(out.summary.row_visibility.size());
  out.title = node.name + " (" + node.type->info.type + "): " + std::to_string(groups) + " groups of " +
              std::to_string(setting.grouping.group * setting.views) + " images, " + grid + " x " + grid + " patches";
  out.picture = mask_picture(out.title, out.summary, examples);
  return out;
}

MaskSizes mask_sizes(CheckedPipeline& pipeline, CheckedNode& node, int64_t groups, int size) {
  MaskSizes out;
  draw_groups(pipeline, node, groups, size, [&](const Masks& masks, int64_t) {
    out.groups.push_back({masks.visible_count, masks.regions, masks.region_size, masks.hidden_of_each()});
    out.repeats = masks.repeats;
  });
  return out;
}

std::string size_name(const std::pair<int, int>& size) { return std::to_string(size.first) + "x" + std::to_string(size.second); }

nlohmann::ordered_json masks_json(const mask::MaskSummary& summary) {
  const auto spread = [](const mask::Spread& s) { return nlohmann::ordered_json{{"mean", s.mean}, {"sd", s.sd}, {"min", s.min}, {"max", s.max}}; };
  nlohmann::ordered_json sizes = nlohmann::ordered_json::object();
  for (const auto& [size, share] : summary.sizes) sizes[size_name(size)] = share;
  return {{"sizes", sizes},
          {"seen", spread(summary.seen)},
          {"target", spread(summary.target)},
          {"adjacency", summary.adjacency},
          {"distance", summary.distance},
          {"row_visibility", summary.row_visibility},
          {"column_visibility", summary.column_visibility}};
}

DrawnMasks mask_report(const MaskReportArgs& args) {
  CheckedPipeline pipeline = load_checked(args.pipeline);
  return draw_masks(pipeline, choose(pipeline, args), args.groups, args.size);
}

}  // namespace flowrun::app
