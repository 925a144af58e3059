// Checks nodes and models: every fault is found here, before anything runs.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "graph/contract/period.h"
#include "graph/contract/run_params.h"
#include "graph/node.h"

namespace flowrun {

struct CheckedModel {
  std::string name;
  const ModelType* type = nullptr;
  std::unique_ptr<Model> model;
  std::string kind, also;
  Location where;
};

/// Where an input comes from; node < 0: not connected.
struct PortSource {
  int node = -1;
  int port = -1;
};

struct ModelUse {
  int model;
  Models::Access access;
};

/// When an evaluation happens, besides its end.
struct EvaluationTimes {
  bool start = false;
  bool end = false;
  int64_t every_epochs = 0;
  int64_t every_steps = 0;

  std::vector<Period> periods() const {
    std::vector<Period> out;
    if (every_epochs > 0) out.push_back({every_epochs, true});
    if (every_steps > 0) out.push_back({every_steps, false});
    return out;
  }
};

struct CheckedNode {
  std::string name;
  const NodeType* type = nullptr;
  std::unique_ptr<Node> node;
  std::string stream_name;
  uint64_t stream = 0;              // hash of stream_name
  std::vector<PortDoc> ports;       // of the type; a list once for each of its connections, at least once
  std::vector<PortSource> sources;  // per port
  std::vector<int> after;
  std::vector<ModelUse> uses;
  EvaluationTimes at;
  Location where;
  std::vector<int> feeds;  // the source nodes it descends from
  Scope scope() const { return type->info.scope; }
};

/// A valid pipeline. Every node comes after the nodes that it reads and follows; the order depends only on scopes and
/// names, not on the order in the file.
struct CheckedPipeline {
  std::string about;
  uint64_t seed = 0;
  RunParams run;
  std::vector<std::string> plugins;
  std::vector<CheckedModel> models;  // references first
  std::vector<CheckedNode> nodes;
  std::vector<std::string> node_order;  // as in the file
  int training_source = -1;             // the node whose stream trains, or -1
  bool batches_leave = false;           // another program reads batches: such outputs may have no reader here
  std::vector<int> nodes_of(int source) const;
  /// Outputs of node `n` that other nodes read.
  std::vector<std::string> read_ports(int n) const;
};

/// Checks everything that can be known before running. If there are faults, the result must not be used. `batches_leave`: outputs of batch
/// nodes, and of device nodes without models, need no reader.
CheckedPipeline validate(const Value& pipeline, Diagnostics& faults, bool batches_leave = false);

/// The resolved pipeline: every default, connection and random stream filled in, with version and hash. Itself
/// runnable.
nlohmann::ordered_json resolved_json(CheckedPipeline& pipeline);

/// Hash of everything that affects results: the resolved pipeline without `about`, incidental parameters and the hash
/// itself.
std::string pipeline_hash(const nlohmann::ordered_json& resolved);

}  // namespace flowrun
