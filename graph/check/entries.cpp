#include "graph/check/entries.h"

#include <algorithm>
#include <functional>
#include <nlohmann/json.hpp>

#include "graph/check/connect.h"
#include "graph/check/plugins.h"
#include "graph/contract/period.h"
#include "graph/text/names.h"

namespace flowrun {
namespace {

using Kind = Value::Kind;

const std::vector<std::string> node_keys = {"type", "in", "after", "stream"};
// The entries of result.json besides the evaluations.
const std::vector<std::string> result_keys = {"status", "steps", "images", "seconds", "error", "evaluations_failed"};
const std::vector<std::string> evaluation_keys = {"type", "in", "after", "stream", "at"};
const std::vector<std::string> model_keys = {"type"};

/// Points at the parameter's value if it was given, else at the object.
Location place_of(const Value& object, const char* param) {
  const Value* value = object.find(param);
  return value ? value->where : object.where;
}

std::string with_article(const std::string& kind) {
  return (std::string_view("aeiou").find(kind[0]) == std::string_view::npos ? "a " : "an ") + kind;
}

/// Collects the model references of a parameter set, and looks up their names.
class ModelFinder final : public ModelVisitor {
 public:
  ModelFinder(const std::vector<CheckedModel>& models, const std::vector<std::string>& broken, const std::string& owner, Diagnostics& faults)
      : models_(models), broken_(broken), owner_(owner), faults_(faults) {}
  std::vector<ModelUse> uses;

  void visit(const ParamInfo& info, Models& models, Models::Access access, bool) override {
    for (size_t i = 0; i < models.names.size(); ++i) {
      const std::string& name = models.names[i];
      if (std::find(models.names.begin(), models.names.begin() + static_cast<std::ptrdiff_t>(i), name) !=
          models.names.begin() + static_cast<std::ptrdiff_t>(i)) {
        faults_.error(models.where[i], owner_ + ": " + info.name + " names \"" + name + "\" twice");
      }
      const auto found = std::find_if(models_.begin(), models_.end(), [&](const auto& m) { return m.name == name; });
      std::vector<std::string> names;
      for (const CheckedModel& m : models_) names.push_back(m.name);
      if (std::find(broken_.begin(), broken_.end(), name) != broken_.end()) continue;
      if (found == models_.end()) {
        faults_.error(models.where[i], owner_ + ": no model \"" + name + "\"",
                      did_you_mean(name, names) + (names.empty() ? "the pipeline has no models" : "there are: " + join(names)));
        continue;
      }
      if (*models.kind != 0 && !found->kind.empty() && found->kind != models.kind && found->also != models.kind) {
        faults_.error(models.where[i],
                      owner_ + ": " + info.name + " must be " + with_article(models.kind) + ", but \"" + name + "\" is " + with_article(found->kind));
      }
      uses.push_back({static_cast<int>(found - models_.begin()), access});
    }
  }

 private:
  const std::vector<CheckedModel>& models_;
  const std::vector<std::string>& broken_;
  const std::string& owner_;
  Diagnostics& faults_;
};

class Validator {
 public:
  Validator(const Value& root, Diagnostics& faults, bool batches_leave) : root_(root), faults_(faults) { out_.batches_leave = batches_leave; }

  CheckedPipeline run() {
    read_head();
    read_models();
    read_nodes();
    if (!out_.nodes.empty()) connect_nodes(nodes_json_, root_.find("ports"), broken_, out_, faults_);
    return std::move(out_);
  }

 private:
  void read_head() {
    if (const Value* about = root_.find("about")) {
      about->is(Kind::string) ? void(out_.about = about->string) : faults_.error(about->where, "about must be a string");
    }
    if (const Value* seed = root_.find("seed")) {
      if (seed->is(Kind::integer) && seed->integer >= 0) {
        out_.seed = static_cast<uint64_t>(seed->integer);
      } else {
        faults_.error(seed->where, "seed must be an integer, at least 0");
      }
    }
    if (const Value* run = root_.find("run")) {
      ParamSetOf<RunParams> set(out_.run);
      read_params(set, *run, {}, "run", "", faults_);
    }
    if (const Value* plugins = root_.find("plugins")) {
      for (const Value& item : plugins->items) out_.plugins.push_back(plugin_path(item));
    }
  }

  /// The type named by an entry's "type", or null after a fault.
  template <class Type>
  const Type* type_of(const std::string& name, const Value& object, const Type* (*find)(std::string_view), const std::vector<const Type*>& all,
                      const char* what) {
    if (!object.is(Kind::object)) {
      faults_.error(object.where, name + ": a " + what + " is an object with a \"type\", not " + kind_name(object.kind));
      return nullptr;
    }
    const Value* type = object.find("type");
    if (!type || !type->is(Kind::string)) {
      faults_.error(type ? type->where : object.where, name + ": the " + what + " has no \"type\"");
      return nullptr;
    }
    if (const Type* found = find(type->string)) return found;
    std::vector<std::string> names;
    for (const Type* t : all) names.emplace_back(t->info.type);
    const std::string guess = did_you_mean(type->string, names);
    faults_.error(type->where, name + ": unknown " + what + " type \"" + type->string + "\"",
                  guess + (guess.empty() ? "there are: " + join(names) : "(flowrun help lists all types)"));
    return nullptr;
  }

  template <class Entry>
  void read_entry_params(Entry& entry, const std::string& name, const Value& object, const std::vector<std::string>& keys, const char* type) {
    const size_t before = faults_.count();
    read_params(entry.params(), object, keys, name, type, faults_);
    if (faults_.count() != before) return;
    if (const auto fault = entry.check()) {
      faults_.error(place_of(object, fault->param), name + ": " + fault->message);
    }
  }

  void read_models() {
    const Value* models = root_.find("models");
    if (!models) return;
    for (const Member& member : models->members) {
      if (!is_name(member.key)) {
        faults_.error(member.key_where, "a model's name is made of letters, digits, _ and -, at most " + std::to_string(longest_name) + " of them");
      }
      CheckedModel model{.name = member.key, .where = member.key_where};
      model.type = type_of(member.key, member.value, find_model_type, model_types(), "model");
      if (!model.type) {
        broken_models_.push_back(member.key);
        continue;
      }
      model.model = model.type->make();
      model.kind = model.type->info.kind, model.also = model.type->info.also;
      read_entry_params(*model.model, member.key, member.value, model_keys, model.type->info.type);
      out_.models.push_back(std::move(model));
    }
    order_models();
  }

  /// Depth first along references: a copy of a model has the kind of the model that it copies.
  void order_models() {
    std::vector<int> mark(out_.models.size());
    std::vector<int> order;
    const std::function<void(int)> visit = [&](int m) {
      CheckedModel& model = out_.models[m];
      if (mark[m] == 2) return;
      if (mark[m] == 1) return faults_.error(model.where, model.name + ": the model refers to itself");
      mark[m] = 1;
      ModelFinder finder(out_.models, broken_models_, model.name, faults_);
      model.model->params().describe(finder);
      for (const ModelUse& use : finder.uses) {
        visit(use.model);
        if (model.kind.empty()) model.kind = out_.models[use.model].kind, model.also = out_.models[use.model].also;
      }
      order.push_back(m);
      mark[m] = 2;
    };
    for (int m = 0; m < static_cast<int>(out_.models.size()); ++m) visit(m);
    std::vector<CheckedModel> sorted;
    for (const int m : order) sorted.push_back(std::move(out_.models[m]));
    out_.models = std::move(sorted);
  }

  void read_nodes() {
    const Value* nodes = root_.find("nodes");
    if (!nodes || nodes->members.empty()) {
      faults_.error(nodes ? nodes->where : root_.where, "the pipeline has no nodes", "\"nodes\": { \"NAME\": { \"type\": … } }");
      return;
    }
    for (const Member& member : nodes->members) {
      if (!is_node_name(member.key)) {
        faults_.error(member.key_where, "a node's name is made of letters, digits, _ and -, at most " + std::to_string(longest_name) +
                                            " of them, with / between the words of a node in a part");
      }
      CheckedNode node{.name = member.key, .where = member.key_where};
      node.type = type_of(member.key, member.value, find_node_type, node_types(), "node");
      if (!node.type) {
        broken_.push_back(member.key);
        continue;
      }
      node.node = node.type->make();
      const bool evaluation = node.scope() == Scope::evaluation;
      read_entry_params(*node.node, member.key, member.value, evaluation ? evaluation_keys : node_keys, node.type->info.type);
      ModelFinder finder(out_.models, broken_models_, member.key, faults_);
      node.node->params().describe(finder);
      node.uses = std::move(finder.uses);
      if (!node.uses.empty() && node.scope() < Scope::device) {
        faults_.error(member.key_where,
                      member.key + ": a " + scope_name(node.scope()) + " node can't use models: it runs beside the steps that change them");
      }
      read_stream(node, member.value);
      if (evaluation) read_moments(node, member.value.find("at"));
      if (evaluation && std::find(result_keys.begin(), result_keys.end(), member.key) != result_keys.end()) {
        faults_.error(member.key_where, "an evaluation can't be called \"" + member.key + "\": result.json has an entry of that name", "rename it");
      }
      out_.node_order.push_back(member.key);
      out_.nodes.push_back(std::move(node));
      nodes_json_.push_back(&member.value);
    }
  }

  void read_stream(CheckedNode& node, const Value& object) {
    node.stream_name = node.name;
    if (const Value* stream = object.find("stream")) {
      stream->is(Kind::string) ? void(node.stream_name = stream->string)
                               : faults_.error(stream->where, node.name + ": stream must be a string: the name that keys the node's random numbers");
    }
    node.stream = hash_text(node.stream_name);
  }

  void read_moments(CheckedNode& node, const Value* at) {
    if (!at) {
      node.at.end = true;
      return;
    }
    std::vector<const Value*> items;
    if (at->is(Kind::array)) {
      for (const Value& item : at->items) items.push_back(&item);
    } else {
      items.push_back(at);
    }
    for (const Value* item : items) {
      const std::string text = item->is(Kind::string) ? item->string : "";
      if (text == "start") {
        node.at.start = true;
      } else if (text == "end") {
        node.at.end = true;
      } else if (const auto period = Period::parse(text)) {
        int64_t& every = period->epochs ? node.at.every_epochs : node.at.every_steps;
        if (every > 0) faults_.error(item->where, node.name + ": at names two periods of " + (period->epochs ? "epochs" : "steps"));
        every = period->count;
      } else {
        faults_.error(item->where, node.name + ": at must be made of \"start\", \"end\", \"N epochs\" or \"N steps\"" + Period::limit(text));
      }
    }
  }

  const Value& root_;
  Diagnostics& faults_;
  CheckedPipeline out_;
  std::vector<const Value*> nodes_json_;
  std::vector<std::string> broken_, broken_models_;  // of unknown type
};

}  // namespace

std::vector<std::string> CheckedPipeline::read_ports(int n) const {
  std::vector<std::string> out;
  const std::vector<PortDoc>& ports = nodes[static_cast<size_t>(n)].ports;
  for (const CheckedNode& reader : nodes) {
    for (const PortSource& source : reader.sources) {
      if (source.node == n) out.push_back(ports[static_cast<size_t>(source.port)].name);
    }
  }
  return out;
}

std::vector<int> CheckedPipeline::nodes_of(int source) const {
  std::vector<int> out;
  for (int i = 0; i < static_cast<int>(nodes.size()); ++i) {
    const auto& feeds = nodes[i].feeds;
    if (std::find(feeds.begin(), feeds.end(), source) != feeds.end()) out.push_back(i);
  }
  return out;
}

CheckedPipeline validate(const Value& pipeline, Diagnostics& faults, bool batches_leave) {
  if (!pipeline.is(Kind::object)) return {};
  return Validator(pipeline, faults, batches_leave).run();
}

}  // namespace flowrun
