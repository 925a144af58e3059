#include "tools/app/load/part.h"

#include <algorithm>

#include "graph/contract/device.h"

namespace flowrun::app {

std::vector<bool> input_side(const CheckedPipeline& all, int source, bool on_device, const std::vector<bool>& wanted) {
  std::vector<bool> marked(all.nodes.size());
  for (const int n : all.nodes_of(source)) {
    const CheckedNode& node = all.nodes[static_cast<size_t>(n)];
    const bool fed = std::all_of(node.sources.begin(), node.sources.end(),
                                 [&](const PortSource& from) { return from.node < 0 || marked[static_cast<size_t>(from.node)]; });
    const bool host = node.scope() <= Scope::batch || (on_device && node.scope() == Scope::device && node.uses.empty());
    marked[static_cast<size_t>(n)] = host && fed && (wanted.empty() || wanted[static_cast<size_t>(n)]);
  }
  return marked;
}

void mark_ancestors(const CheckedPipeline& pipeline, std::vector<bool>& marked) {
  for (size_t n = pipeline.nodes.size(); n-- > 0;) {  // every node comes after its inputs
    if (!marked[n]) continue;
    for (const PortSource& from : pipeline.nodes[n].sources) {
      if (from.node >= 0) marked[static_cast<size_t>(from.node)] = true;
    }
  }
}

int usual_source(const CheckedPipeline& pipeline) {
  if (pipeline.training_source >= 0) return pipeline.training_source;
  const auto is_source = [](const CheckedNode& node) { return node.scope() == Scope::source; };
  if (std::count_if(pipeline.nodes.begin(), pipeline.nodes.end(), is_source) != 1) return -1;
  return static_cast<int>(std::find_if(pipeline.nodes.begin(), pipeline.nodes.end(), is_source) - pipeline.nodes.begin());
}

CheckedPipeline part_of(CheckedPipeline all, int source, const std::vector<bool>& marked) {
  CheckedPipeline part;
  part.seed = all.seed;
  part.run = all.run;
  std::vector<int> place(all.nodes.size(), -1);
  bool uses_models = false;
  for (size_t n = 0; n < all.nodes.size(); ++n) {
    if (!marked[n]) continue;
    place[n] = static_cast<int>(part.nodes.size());
    uses_models = uses_models || !all.nodes[n].uses.empty();
    part.nodes.push_back(std::move(all.nodes[n]));
  }
  if (uses_models) part.models = std::move(all.models);
  const auto moved = [&](int n) { return n < 0 ? n : place[static_cast<size_t>(n)]; };
  for (CheckedNode& node : part.nodes) {
    for (PortSource& from : node.sources) from.node = moved(from.node);
    for (auto* others : {&node.after, &node.feeds}) {
      for (int& n : *others) n = moved(n);
      std::erase_if(*others, [](int n) { return n < 0; });
    }
    part.node_order.push_back(node.name);
  }
  part.training_source = moved(source);
  return part;
}

CheckedPipeline host_part_of(CheckedPipeline all, int source, const std::vector<bool>& marked) {
  CheckedPipeline part = part_of(std::move(all), source, marked);
  part.run.device = host_device();
  part.run.precision = "fp32";
  resolve_device(part.run);
  return part;
}

}  // namespace flowrun::app
