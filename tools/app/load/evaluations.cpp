#include "tools/app/load/evaluations.h"

#include <algorithm>

#include "graph/contract/direction.h"

namespace flowrun::app {

bool Evaluation::may_report(std::string_view metric) const {
  if (!reports) return true;
  return std::any_of(reports->begin(), reports->end(), [&](std::string_view each) {
    return each.ends_with('*') ? metric.size() >= each.size() && metric.starts_with(each.substr(0, each.size() - 1)) : metric == each;
  });
}

std::vector<Evaluation> evaluations_of(const CheckedPipeline& pipeline) {
  std::vector<Evaluation> out;
  for (const std::string& name : pipeline.node_order) {
    for (const CheckedNode& node : pipeline.nodes) {
      if (node.name == name && node.scope() == Scope::evaluation) out.push_back({name, node.type->reports});
    }
  }
  return out;
}

std::optional<NotReported> not_reported(const std::vector<Evaluation>& evaluations, const std::string& metric) {
  const std::string node(node_of(metric)), name(name_of(metric));
  std::vector<std::string> nodes, reports;
  bool known = false;
  for (const Evaluation& evaluation : evaluations) {
    nodes.push_back(evaluation.name);
    if (evaluation.name != node) continue;
    if (evaluation.may_report(name)) return {};
    known = true;
    reports.insert(reports.end(), evaluation.reports->begin(), evaluation.reports->end());
  }
  const auto these = [](std::vector<std::string>& all) {
    std::sort(all.begin(), all.end());
    all.erase(std::unique(all.begin(), all.end()), all.end());
    return join(all);
  };
  if (known) {
    const std::string meant = did_you_mean(name, reports);
    return NotReported{node + " reports no \"" + name + "\"", meant + (reports.empty() ? "it reports no numbers" : "it reports " + these(reports))};
  }
  const std::string meant = did_you_mean(node, nodes);
  return NotReported{"there is no evaluation \"" + node + "\"", meant + (nodes.empty() ? "there are none" : "there are " + these(nodes))};
}

}  // namespace flowrun::app
