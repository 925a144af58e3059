#include <algorithm>

#include "nodes/lib/host/python/python_node.h"
#include "nodes/lib/host/types/host_types.h"

namespace flowrun::python {
namespace {

class SourceNode final : public PythonNode {
 public:
  using PythonNode::PythonNode;
  using PythonNode::run;

  /// Keys and labels of all samples stay here: workers are asked for samples alone.
  void open(const OpenContext& context) override {
    PythonNode::open(context);
    data_ = {.place = said().at("keys").empty() ? "" : file() + " (" + description().type + ")",
             .classes = said().at("classes").get<std::vector<std::string>>(),
             .labels = said().at("labels").get<std::vector<int>>()};
    keys_ = said().at("keys").get<std::vector<std::string>>();
    for (const std::string& key : keys_) data_.add(key, 0);
    data_.count = said().at("size");
    labels_.assign(data_.labels.begin(), data_.labels.end());
  }

  uint64_t size() const override { return data_.count; }
  std::string key(uint64_t sample) const override { return keys_.empty() ? PythonNode::key(sample) : keys_[sample]; }
  SourceData data() const override { return data_; }
  void map_labels(const std::vector<int64_t>& labels) override {
    for (int64_t& label : labels_) label = label >= 0 ? labels[static_cast<size_t>(label)] : label;
  }

  void run(const Call& call, const SampleContext& context) const override {
    ask({context.seed, context.stream, context.epoch, context.sample, context.position}, {},
        [&](const std::vector<Array>& outputs) { take_outputs(call, context.ledger, outputs); });
    if (labels_.empty()) return;
    for (size_t i = 0; i < description().ports.size(); ++i) {
      void* const value = call.object(call.slots[i]);
      if (value != nullptr && description().ports[i].name == "label") *static_cast<Label*>(value) = {labels_[context.sample], {}};
    }
  }

 private:
  SourceData data_;
  std::vector<std::string> keys_;
  std::vector<int64_t> labels_;
};

}  // namespace

NodeType source_type(const std::string& file, const Description& description) {
  NodeType type = described_type(description, Scope::source);
  type.make = [file, &description] { return std::make_unique<SourceNode>(file, description); };
  return type;
}

}  // namespace flowrun::python
