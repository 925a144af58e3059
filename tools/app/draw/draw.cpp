#include "tools/app/draw/draw.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>

#include "graph/plan/lower.h"
#include "graph/text/json_text.h"
#include "io/run/run_directory.h"
#include "tools/app/draw/graph_picture.h"
#include "tools/app/escape.h"
#include "tools/app/json_files.h"
#include "tools/app/load/load.h"

namespace flowrun::app {
namespace {

const char* colour(Scope scope) {
  static constexpr const char* colours[] = {"#dbe9f6", "#dbe9f6", "#e3f1dc", "#fbe5d0", "#f5c79c", "#f6d9dc", "#ece2f2"};
  return colours[static_cast<int>(scope)];
}

const char* level_label(Scope scope) {
  static constexpr const char* labels[] = {
      "per sample: any thread",       "per sample: any thread",     "per group: any thread", "per group: device, in order",
      "between the groups of a step", "per step: device, in order", "per evaluation"};
  return labels[static_cast<int>(scope)];
}

void draw_nodes(const CheckedPipeline& p, std::ostream& out) {
  // Sources share the box of the sample nodes.
  for (const Scope scope : {Scope::sample, Scope::batch, Scope::device, Scope::whole, Scope::step, Scope::evaluation}) {
    std::ostringstream inside;
    for (const CheckedNode& node : p.nodes) {
      if (node.scope() != scope && !(node.scope() == Scope::source && scope == Scope::sample)) continue;
      inside << "    " << dot_string(node.name) << " [label=<<b>" << xml_text(node.name) << "</b><br/><font point-size=\"9\">"
             << xml_text(node.type->info.type) << "</font>>, fillcolor=" << dot_string(colour(scope)) << "];\n";
    }
    if (inside.str().empty()) continue;
    out << "  subgraph cluster_" << scope_name(scope) << " {\n    label=" << dot_string(level_label(scope))
        << "; fontsize=10; fontcolor=\"#666666\"; color=\"#cccccc\"; style=rounded;\n"
        << inside.str() << "  }\n";
  }
}

void draw_edges(const CheckedPipeline& p, std::ostream& out) {
  for (const CheckedNode& node : p.nodes) {
    for (const PortSource& source : node.sources) {
      if (source.node < 0) continue;
      const CheckedNode& from = p.nodes[static_cast<size_t>(source.node)];
      out << "  " << dot_string(from.name) << " -> " << dot_string(node.name)
          << " [label=" << dot_string(from.ports[static_cast<size_t>(source.port)].name) << "];\n";
    }
    for (const int before : node.after) {
      out << "  " << dot_string(p.nodes[static_cast<size_t>(before)].name) << " -> " << dot_string(node.name) << " [style=dotted, label=\"then\"];\n";
    }
  }
}

void draw_models(const CheckedPipeline& p, std::ostream& out) {
  for (const CheckedModel& model : p.models) {
    out << "  " << dot_string("model " + model.name) << " [shape=cylinder, fillcolor=\"#fff6cc\", label=<<b>" << xml_text(model.name)
        << "</b><br/><font point-size=\"9\">" << xml_text(model.type->info.type) << "</font>>];\n";
  }
  for (const CheckedNode& node : p.nodes) {
    std::set<std::pair<int, bool>> uses;
    for (const ModelUse& use : node.uses) uses.insert({use.model, use.access == Models::Access::writes});
    for (const auto& [m, writes] : uses) {
      const std::string model = dot_string("model " + p.models[static_cast<size_t>(m)].name);
      out << "  " << (writes ? dot_string(node.name) + " -> " + model : model + " -> " + dot_string(node.name))
          << " [style=dashed, color=\"#b08900\", constraint=false" << (writes ? ", penwidth=1.6" : "") << "];\n";
    }
  }
}

std::string dot(const CheckedPipeline& p) {
  std::ostringstream out;
  out << "digraph flowrun {\n  rankdir=TB; fontname=\"Helvetica\"; nodesep=0.3; ranksep=0.35;\n"
      << "  node [shape=box, style=\"rounded,filled\", fontname=\"Helvetica\", fontsize=11, color=\"#888888\"];\n"
      << "  edge [fontname=\"Helvetica\", fontsize=9, color=\"#555555\", fontcolor=\"#555555\"];\n";
  draw_nodes(p, out);
  draw_models(p, out);
  draw_edges(p, out);
  out << "}\n";
  return out.str();
}

/// The content of a drawing; for a run's directory with shares of the time.
nlohmann::ordered_json graph_json(const DrawArgs& args, const CheckedPipeline& p) {
  using nlohmann::ordered_json;
  const ordered_json stats = read_json(io::RunPaths(args.pipeline.file).stats);
  const std::vector<double> shares = stats.is_null() ? std::vector<double>() : time_shares(p, stats);
  ordered_json out = {{"nodes", ordered_json::array()}, {"edges", ordered_json::array()}, {"orders", ordered_json::array()}};
  for (size_t n = 0; n < p.nodes.size(); ++n) {
    const CheckedNode& node = p.nodes[n];
    ordered_json entry = {{"name", node.name},
                          {"type", node.type->info.type},
                          {"scope", scope_name(node.scope())},
                          {"reads", ordered_json::array()},
                          {"writes", ordered_json::array()}};
    for (const ModelUse& use : node.uses) {
      ordered_json& models = entry[use.access == Models::Access::writes ? "writes" : "reads"];
      const std::string& name = p.models[static_cast<size_t>(use.model)].name;
      if (std::find(models.begin(), models.end(), name) == models.end()) models.push_back(name);
    }
    if (n < shares.size()) entry["share"] = shares[n];
    out["nodes"].push_back(std::move(entry));
    for (size_t port = 0; port < node.sources.size(); ++port) {
      const PortSource& source = node.sources[port];
      if (source.node < 0) continue;
      const CheckedNode& from = p.nodes[static_cast<size_t>(source.node)];
      out["edges"].push_back(
          {{"from", from.name}, {"output", from.ports[static_cast<size_t>(source.port)].name}, {"to", node.name}, {"input", node.ports[port].name}});
    }
    for (const int before : node.after) out["orders"].push_back({{"first", p.nodes[static_cast<size_t>(before)].name}, {"then", node.name}});
  }
  return out;
}

/// Draws a run from its directory, coloured by each node's share of the time.
std::string svg(const DrawArgs& args, const CheckedPipeline& pipeline) {
  const std::filesystem::path stats = io::RunPaths(args.pipeline.file).stats;
  if (!std::filesystem::exists(stats)) return graph_svg(pipeline);
  return graph_svg(pipeline, time_shares(pipeline, read_json(stats)));
}

}  // namespace

std::string draw(const DrawArgs& args) {
  PipelineArgs from = args.pipeline;
  if (std::filesystem::is_directory(from.file)) from.file = io::RunPaths(from.file).pipeline;
  const CheckedPipeline pipeline = load_checked(from);
  if (args.plan) return describe_plan(pipeline, lower(pipeline));
  if (args.json) return json_text(graph_json(args, pipeline), 2) + "\n";
  return args.out.ends_with(".svg") ? svg(args, pipeline) : dot(pipeline);
}

}  // namespace flowrun::app
