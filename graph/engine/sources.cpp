// The engine's questions to sources: the length of the run, the classes of its labels, and whether the data have changed.
#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "graph/engine/engine.h"
#include "graph/run/bind.h"

namespace flowrun {
namespace {

/// The sources that node `n` descends from, itself included.
std::vector<int> sources_of(const CheckedPipeline& pipeline, int n) {
  const CheckedNode& node = pipeline.nodes[static_cast<size_t>(n)];
  return node.scope() == Scope::source ? std::vector<int>{n} : node.feeds;
}

/// For each source, the sources whose class table its labels refer to: the sources of the `train` input of a shared
/// evaluation, else the training source. None: its own table.
std::vector<std::vector<int>> class_tables(const CheckedPipeline& pipeline) {
  const auto count = pipeline.nodes.size();
  std::vector<std::vector<int>> tables(count);
  std::vector<bool> trains(count);
  for (const CheckedNode& node : pipeline.nodes) {
    if (node.scope() != Scope::evaluation) continue;
    std::vector<int> table, others;
    for (size_t i = 0; i < node.sources.size(); ++i) {
      if (node.sources[i].node < 0) continue;
      const std::vector<int> from = sources_of(pipeline, node.sources[i].node);
      std::vector<int>& side = node.ports[i].name == "train" ? table : others;
      side.insert(side.end(), from.begin(), from.end());
    }
    for (const int t : table) trains[static_cast<size_t>(t)] = true;
    for (const int other : others) {
      for (const int t : table) {
        if (t != other) tables[static_cast<size_t>(other)].push_back(t);
      }
    }
  }
  const int training = pipeline.training_source;
  for (size_t n = 0; n < count && training >= 0; ++n) {
    const bool alone = tables[n].empty() && !trains[n] && static_cast<int>(n) != training;
    if (pipeline.nodes[n].scope() == Scope::source && alone) tables[n].push_back(training);
  }
  return tables;
}

}  // namespace

void Engine::open_sources() {
  data_.resize(pipeline_.nodes.size());
  for (size_t n = 0; n < pipeline_.nodes.size(); ++n) {
    CheckedNode& node = pipeline_.nodes[n];
    if (node.scope() != Scope::source) continue;
    const std::vector<std::string> read = pipeline_.read_ports(static_cast<int>(n));
    guard(node.name, [&] {
      node.node->open({info_, node.name, node.stream, &read});
      data_[n] = node.node->data();
    });
    data_[n].labels_read = std::find(read.begin(), read.end(), "label") != read.end();
    if (info_.rank != 0) continue;
    for (const std::string& remark : data_[n].remarks) log_warning(node.name + ": " + remark);
  }
}

/// Classes are names: the labels of every source become places in one table.
void Engine::match_labels() {
  const std::vector<std::vector<int>> tables = class_tables(pipeline_);
  std::vector<std::vector<std::string>> numbered(data_.size());  // the names to use
  for (size_t n = 0; n < tables.size(); ++n) {
    if (data_[n].classes.empty() || !data_[n].labels_read) continue;
    CheckedNode& node = pipeline_.nodes[n];
    for (const int t : tables[n]) {
      const SourceData& table = data_[static_cast<size_t>(t)];
      if (table.classes.empty() || !table.labels_read) continue;
      if (!numbered[n].empty() && numbered[n] != table.classes) {
        throw PipelineError("error: " + node.name +
                            ": two evaluations compare it with training data of other classes; read it twice, by two sources");
      }
      if (!numbered[n].empty()) continue;
      numbered[n] = table.classes;
      guard(node.name, [&] {
        const ClassMatch match = [&] {
          try {
            return match_classes(data_[n], table);
          } catch (const std::invalid_argument& error) {
            const std::string& trainer = pipeline_.nodes[static_cast<size_t>(t)].name;
            throw PipelineError("error: " + node.name + ": " + error.what() + "\n  rename or remove what is superfluous, or let " + trainer +
                                " list all classes: " + trainer + ".classes");
          }
        }();
        if (!match.remark.empty() && info_.rank == 0) log_warning(node.name + ": " + match.remark);
        node.node->map_labels(match.labels);
      });
    }
  }
  const int training = pipeline_.training_source;
  if (training >= 0 && data_[static_cast<size_t>(training)].labels_read) info_.classes = data_[static_cast<size_t>(training)].classes;
}

std::map<std::string, const SourceData*> Engine::input_data(const CheckedNode& node) const {
  std::map<std::string, const SourceData*> out;
  for (size_t i = 0; i < node.sources.size(); ++i) {
    if (node.sources[i].node < 0) continue;
    const std::vector<int> from = sources_of(pipeline_, node.sources[i].node);
    if (from.size() == 1) out[node.ports[i].name] = &data_[static_cast<size_t>(from[0])];
  }
  return out;
}

nlohmann::ordered_json Engine::data_json() const {
  nlohmann::ordered_json out = nlohmann::ordered_json::object();
  for (size_t n = 0; n < data_.size(); ++n) {
    if (pipeline_.nodes[n].scope() == Scope::source) out[pipeline_.nodes[n].name] = data_[n].json();
  }
  return out;
}

/// Checks that all ranks have the same data, and that they are those the run began with, unless the run accepts changed
/// data.
void Engine::compare_data() {
  if (options_.on_data) {
    options_.on_data(data_json(), [&](const DataChange& change) { change_ = change; });
  }
  for (size_t n = 0; n < data_.size(); ++n) {
    const CheckedNode& source = pipeline_.nodes[n];
    if (source.scope() != Scope::source) continue;
    if (data_[n].count == 0) throw PipelineError("error: " + source.name + " has no samples: check the path");
    require_equal("the samples of " + source.name, std::to_string(data_[n].count));
    require_equal("the names and sizes of the samples of " + source.name, data_[n].json()["hash"].get<std::string>());
  }
}

/// Computes the run's lengths from the training source.
void Engine::size_run() {
  if (pipeline_.training_source < 0) return;
  const CheckedNode& source = pipeline_.nodes[static_cast<size_t>(pipeline_.training_source)];
  const StreamPlan& stream = plan_.streams[0];
  const uint64_t samples = source.node->size();
  const Grouping grouping = stream.grouping;
  if (static_cast<int64_t>(samples) < grouping.size && !options_.wraps) {
    throw PipelineError("error: " + source.name + " has " + std::to_string(samples) + " samples, fewer than the batch of " +
                        std::to_string(grouping.size) + ": make the batch smaller, or check the path");
  }
  if (stream.groups_per_step % info_.world != 0) {
    throw PipelineError("error: " + std::to_string(info_.world) + " ranks can't share " + std::to_string(stream.groups_per_step) +
                        " groups: the number of ranks must divide batch size / group");
  }
  info_.batch = grouping.size;
  info_.steps_per_epoch = std::max<int64_t>(1, static_cast<int64_t>(samples) / grouping.size);
  int64_t images = 0;
  if (__builtin_mul_overflow(pipeline_.run.epochs, static_cast<int64_t>(samples), &images)) {
    throw PipelineError("error: run.epochs: " + std::to_string(pipeline_.run.epochs) + " passes over the " + std::to_string(samples) +
                        " samples of " + source.name + " are more images than can be counted");
  }
  info_.total_steps = pipeline_.run.epochs * info_.steps_per_epoch;
  int64_t end = info_.total_steps;
  if (change_) {
    info_.epoch_shift = change_->epochs_done * info_.steps_per_epoch - change_->after_step;
    info_.schedule_floor = static_cast<int64_t>(std::ceil(change_->progress * static_cast<double>(info_.total_steps)));
    end = std::max(change_->after_step, info_.total_steps - info_.epoch_shift);
  }
  info_.last_step = pipeline_.run.steps > 0 ? std::min(pipeline_.run.steps, end) : end;
}

}  // namespace flowrun
