// diff: the differences of two pipelines, and the parts that stay the same.
#include "tools/app/load/diff.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <iostream>
#include <map>
#include <nlohmann/json.hpp>

#include "graph/contract/device.h"
#include "graph/text/json_text.h"
#include "tools/app/load/load.h"
#include "tools/app/speed/study.h"

namespace flowrun::app {
namespace {

using nlohmann::ordered_json;

/// A pipeline with its resolved form.
struct Side {
  CheckedPipeline pipeline;
  ordered_json resolved;
  std::map<std::string, size_t> place;  // of nodes

  explicit Side(const PipelineArgs& args) : pipeline(load_checked(args)) {
    device_runtime().resolve(pipeline.run);
    resolved = resolved_json(pipeline);
    for (size_t n = 0; n < pipeline.nodes.size(); ++n) place[pipeline.nodes[n].name] = n;
  }
  const CheckedNode* find(const std::string& name) const {
    const auto found = place.find(name);
    return found == place.end() ? nullptr : &pipeline.nodes[found->second];
  }
  const ordered_json& json(const std::string& name) const { return resolved["nodes"][name]; }
};

/// {"path", "from", "to"} per value that differs; null where there is none.
void add_changes(const ordered_json& a, const ordered_json& b, const std::string& where, ordered_json& out) {
  if (a == b) return;
  if (!a.is_object() || !b.is_object()) {
    out.push_back({{"path", where}, {"from", a}, {"to", b}});
    return;
  }
  for (const auto& [key, value] : a.items()) add_changes(value, b.contains(key) ? b[key] : ordered_json(), where + "." + key, out);
  for (const auto& [key, value] : b.items()) {
    if (!a.contains(key)) out.push_back({{"path", where + "." + key}, {"from", ordered_json()}, {"to", value}});
  }
}

/// For models or nodes: those that only one side has, and the differences of the others.
ordered_json section_changes(const ordered_json& a, const ordered_json& b, const char* section) {
  ordered_json out = ordered_json::array();
  const ordered_json none = ordered_json::object();
  const ordered_json &left = a.contains(section) ? a[section] : none, &right = b.contains(section) ? b[section] : none;
  for (const auto& [name, value] : left.items()) {
    if (!right.contains(name)) {
      out.push_back({{"path", std::string(section) + "." + name}, {"from", value["type"]}, {"to", ordered_json()}});
    } else if (value["type"] != right[name]["type"]) {
      out.push_back({{"path", std::string(section) + "." + name + ".type"}, {"from", value["type"]}, {"to", right[name]["type"]}});
    } else {
      add_changes(value, right[name], std::string(section) + "." + name, out);
    }
  }
  for (const auto& [name, value] : right.items()) {
    if (!left.contains(name)) out.push_back({{"path", std::string(section) + "." + name}, {"from", ordered_json()}, {"to", value["type"]}});
  }
  return out;
}

/// The reasons why outputs of host nodes differ between the sides; an empty reason: they are the same for every sample.
class Values {
 public:
  Values(const Side& a, const Side& b) : a_(a), b_(b) {
    for (const CheckedNode& node : a.pipeline.nodes) {
      if (node.scope() <= Scope::batch && b.find(node.name) != nullptr) reasons_[node.name] = reason(node);
    }
  }
  /// In the order of the first pipeline.
  std::vector<std::pair<std::string, std::string>> all() const {
    std::vector<std::pair<std::string, std::string>> out;
    for (const CheckedNode& node : a_.pipeline.nodes) {
      if (const auto found = reasons_.find(node.name); found != reasons_.end()) out.emplace_back(node.name, found->second);
    }
    return out;
  }

 private:
  std::string reason(const CheckedNode& node) const {
    const CheckedNode& other = *b_.find(node.name);
    if (a_.pipeline.seed != b_.pipeline.seed) return "the seed";
    if (node.stream != other.stream) return "its stream";
    for (const PortSource& from : node.sources) {
      if (from.node < 0) continue;
      const std::string& before = a_.pipeline.nodes[static_cast<size_t>(from.node)].name;
      const auto found = reasons_.find(before);
      if (found == reasons_.end()) return before + ", which is gone";
      if (!found->second.empty()) return before;
    }
    ordered_json left = a_.json(node.name), right = b_.json(node.name);
    if (left["type"] != right["type"]) return "its type";
    if (left.value("in", ordered_json()) != right.value("in", ordered_json())) return "its inputs";
    return left == right ? "" : "its parameters";
  }

  const Side &a_, &b_;
  std::map<std::string, std::string> reasons_;
};

/// The models whose checkpoints fit the other pipeline, and whether a run can be resumed.
ordered_json checkpoints(const Side& a, const Side& b) {
  ordered_json fits = ordered_json::array(), differ = ordered_json::array();
  const ordered_json none = ordered_json::object();
  const ordered_json left = a.resolved.value("models", none), right = b.resolved.value("models", none);
  // A model is defined by its parameters and by those of the models that it refers to.
  const auto same = [&](const auto& self, const std::string& name) -> bool {
    if (!left.contains(name) || !right.contains(name) || left[name] != right[name]) return false;
    for (const auto& [key, value] : left[name].items()) {
      if (!value.is_string() || key == "type") continue;
      const std::string other = value;
      if (left.contains(other) && !self(self, other)) return false;
    }
    return true;
  };
  for (const auto& [name, value] : left.items()) (same(same, name) ? fits : differ).push_back(name);
  return {{"fit", fits}, {"differ", differ}, {"resume", pipeline_hash(a.resolved) == pipeline_hash(b.resolved)}};
}

ordered_json compare(const Side& a, const Side& b) {
  ordered_json out = {{"changes", ordered_json::array()}};
  if (a.pipeline.seed != b.pipeline.seed) out["changes"].push_back({{"path", "seed"}, {"from", a.pipeline.seed}, {"to", b.pipeline.seed}});
  add_changes(a.resolved["run"], b.resolved["run"], "run", out["changes"]);
  for (const char* section : {"models", "nodes"}) {
    for (auto& change : section_changes(a.resolved, b.resolved, section)) out["changes"].push_back(std::move(change));
  }
  out["same_values"] = ordered_json::array();
  out["other_values"] = ordered_json::object();
  for (const auto& [name, why] : Values(a, b).all()) {
    if (why.empty()) {
      out["same_values"].push_back(name);
    } else {
      out["other_values"][name] = why;
    }
  }
  out["checkpoints"] = checkpoints(a, b);
  return out;
}

/// Measures both in turns, so that other load affects both. The turns show how reliable the mean is: if the change
/// differs by more than a fifth between them, or other programs had the cores, the result is meaningless.
ordered_json speeds(const DiffArgs& args) {
  constexpr int turns = 3;
  double rates[2] = {1, 1}, least = INFINITY, most = 0, delayed = 0;
  for (int turn = 0; turn < turns; ++turn) {
    double now[2];
    for (int i = 0; i < 2; ++i) {
      const PipelineArgs& pipeline = i == 0 ? args.a : args.b;
      const Study study([&] { return load_checked(pipeline); }, {});
      std::fprintf(stderr, "measuring %s for %g s\n", pipeline.file.c_str(), args.seconds / (2 * turns));
      const Measurement found = study.measure_whole({.seconds = args.seconds / (2 * turns)});
      now[i] = found.rate();
      rates[i] *= now[i];
      delayed = std::max(delayed, found.delayed / (found.seconds * available_cores()));
    }
    least = std::min(least, now[1] / now[0]), most = std::max(most, now[1] / now[0]);
  }
  const double from = std::pow(rates[0], 1.0 / turns), to = std::pow(rates[1], 1.0 / turns);
  return {{"from", from},
          {"to", to},
          {"change", to / from - 1},
          {"change_low", least - 1},
          {"change_high", most - 1},
          {"delayed_share", delayed},
          {"noisy", most > 1.2 * least || delayed > 0.1}};
}

std::string text_of(const ordered_json& value) { return value.is_null() ? "none" : value.is_string() ? value.get<std::string>() : json_text(value); }

void print_text(const ordered_json& result) {
  if (result["changes"].empty()) std::printf("the pipelines are the same\n");
  for (const auto& change : result["changes"]) {
    const std::string path = change["path"];
    if (change["from"].is_null() && path.find('.') == path.rfind('.')) {
      std::printf("+ %s (%s)\n", path.c_str(), text_of(change["to"]).c_str());
    } else if (change["to"].is_null() && path.find('.') == path.rfind('.')) {
      std::printf("- %s (%s)\n", path.c_str(), text_of(change["from"]).c_str());
    } else {
      std::printf("  %s: %s -> %s\n", path.c_str(), text_of(change["from"]).c_str(), text_of(change["to"]).c_str());
    }
  }
  std::vector<std::string> same = result["same_values"];
  if (!same.empty()) std::printf("\nthe same for every sample: %s\n", join(same).c_str());
  for (const auto& [name, why] : result["other_values"].items())
    std::printf("other values: %s, because of %s\n", name.c_str(), why.get<std::string>().c_str());
  const auto& checkpoints = result["checkpoints"];
  std::vector<std::string> fit = checkpoints["fit"], differ = checkpoints["differ"];
  if (!fit.empty()) std::printf("\nweights fit: %s\n", join(fit).c_str());
  if (!differ.empty()) std::printf("weights don't fit: %s\n", join(differ).c_str());
  std::printf("%s\n",
              checkpoints["resume"].get<bool>() ? "a run of one can be resumed with the other" : "a run of one can't be resumed with the other");
  if (!result.contains("images_per_second")) return;
  const auto& speed = result["images_per_second"];
  std::printf("speed: %.0f -> %.0f images/s (%+.0f %%; %+.0f to %+.0f %% in three turns)\n", speed["from"].get<double>(), speed["to"].get<double>(),
              100 * speed["change"].get<double>(), 100 * speed["change_low"].get<double>(), 100 * speed["change_high"].get<double>());
  if (speed["noisy"].get<bool>()) std::printf("the machine was too noisy to tell: measure longer, or when it does nothing else\n");
}

}  // namespace

int diff(const DiffArgs& args) {
  const Side a(args.a), b(args.b);
  ordered_json result = compare(a, b);
  if (args.seconds > 0) result["images_per_second"] = speeds(args);
  if (args.json) {
    std::cout << json_text(result, 2) << "\n";
  } else {
    print_text(result);
  }
  return 0;
}

}  // namespace flowrun::app
