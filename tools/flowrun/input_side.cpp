#include "tools/flowrun/input_side.h"

#include <algorithm>

namespace flowrun::tool {

void mark_ancestors(const CheckedPipeline& pipeline, std::vector<bool>& marked) {
  for (size_t n = pipeline.nodes.size(); n-- > 0;) {  // every node stands behind what it reads
    if (!marked[n]) continue;
    for (const PortSource& from : pipeline.nodes[n].sources) {
      if (from.node >= 0) marked[static_cast<size_t>(from.node)] = true;
    }
  }
}

CheckedPipeline input_side(CheckedPipeline all, int source, bool on_device, const std::vector<bool>& wanted) {
  CheckedPipeline input;
  input.seed = all.seed;
  input.run = all.run;
  input.run.device = "cpu";
  input.run.precision = "fp32";
  std::vector<int> place(all.nodes.size(), -1);
  for (const int n : all.nodes_of(source)) {
    CheckedNode& node = all.nodes[static_cast<size_t>(n)];
    const bool fed = std::all_of(node.sources.begin(), node.sources.end(),
                                 [&](const PortSource& from) { return from.node < 0 || place[static_cast<size_t>(from.node)] >= 0; });
    const bool host = node.scope() <= Scope::batch || (on_device && node.scope() == Scope::device && node.uses.empty());
    if (!host || !fed || (!wanted.empty() && !wanted[static_cast<size_t>(n)])) continue;
    place[static_cast<size_t>(n)] = static_cast<int>(input.nodes.size());
    input.nodes.push_back(std::move(node));
  }
  const auto moved = [&](int n) { return n < 0 ? n : place[static_cast<size_t>(n)]; };
  for (CheckedNode& node : input.nodes) {
    for (PortSource& from : node.sources) from.node = moved(from.node);
    for (int& n : node.after) n = moved(n);
    std::erase_if(node.after, [](int n) { return n < 0; });
    for (int& n : node.feeds) n = moved(n);
    std::erase_if(node.feeds, [](int n) { return n < 0; });
    input.node_order.push_back(node.name);
  }
  input.training_source = moved(source);
  return input;
}

}  // namespace flowrun::tool
