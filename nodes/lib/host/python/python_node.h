// The common part of all kinds of nodes in Python.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "graph/contract/planned.h"
#include "nodes/lib/host/python/description.h"
#include "nodes/lib/host/python/workers.h"

namespace flowrun::python {

/// A node of a pipeline whose function lies in a file of Python. Sample, mask and source nodes add how they are called.
class PythonNode : public Node {
 public:
  /// `description` outlives it.
  PythonNode(std::string file, const Description& description);
  ~PythonNode() override;

  ParamSet& params() override { return params_; }
  void open(const OpenContext& context) override;

  std::optional<ParamFault> check() const override { return {}; }
  void run(const Call&, const SampleContext&) const override {}
  void run(const Call&, const GroupContext&) override {}
  void run(const WholeContext&) override {}
  void run(const Call&, StepContext&) override {}
  void run(const Call&, EvaluationContext&) override {}
  void fold(const Call&, const FoldContext&) override {}
  void give(const Call&, const FoldContext&) override {}
  void finish(StepContext&) override {}
  uint64_t size() const override { return 0; }
  std::string key(uint64_t sample) const override { return "sample " + std::to_string(sample); }
  void prefetch(uint64_t) const override {}
  SourceData data() const override { return {.count = size()}; }
  void map_labels(const std::vector<int64_t>&) override {}
  std::optional<Grouping> grouping() const override { return {}; }
  int64_t variant(const GroupContext&) const override { return 0; }
  bool reads(const FoldContext&) const override { return true; }
  void plan(NodePlan&) const override {}
  std::optional<State> save() const override { return {}; }
  void restore(const State&) override {}

 protected:
  const Description& description() const { return description_; }
  const std::string& file() const { return file_; }
  /// The node's answer when it was opened: of a source its size, keys and labels.
  const nlohmann::json& said() const { return said_; }
  /// Calls the function; `take` gets its results while they lie in the worker's memory. Any thread.
  template <class Take>
  void ask(const Address& address, const std::vector<Array>& inputs, Take&& take) const {
    workers_->call(instance_, address, inputs, [&](const std::vector<Array>& outputs) {
      require_count(outputs.size());
      take(outputs);
    });
  }
  /// Sets the outputs, and enters their hash into the ledger.
  void take_outputs(const Call& call, const LedgerEntry& ledger, const std::vector<Array>& outputs) const;

 private:
  virtual size_t expected_outputs() const;
  void require_count(size_t got) const;

  const std::string file_;
  const Description& description_;
  Params params_;
  const std::shared_ptr<Workers> workers_;
  Instance instance_;
  bool open_ = false;
  nlohmann::json said_;
};

/// The types of nodes, as the registry takes them.
NodeType sample_type(const std::string& file, const Description& description);
NodeType mask_type(const std::string& file, const Description& description);
NodeType source_type(const std::string& file, const Description& description);
/// Name, texts, ports and parameters of any kind.
NodeType described_type(const Description& description, Scope scope);

}  // namespace flowrun::python
