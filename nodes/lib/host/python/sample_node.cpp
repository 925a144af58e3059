#include "nodes/lib/host/python/python_node.h"

namespace flowrun::python {
namespace {

class SampleNode final : public PythonNode {
 public:
  using PythonNode::PythonNode;
  using PythonNode::run;
  void run(const Call& call, const SampleContext& context) const override {
    std::vector<Array> inputs;
    for (size_t i = 0; i < description().ports.size(); ++i) {
      const Port& port = description().ports[i];
      if (!port.input) continue;
      const void* const value = call.object(call.slots[i]);
      inputs.push_back(value != nullptr ? port.type->pack(value) : Array());
    }
    ask({context.seed, context.stream, context.epoch, context.sample, context.position}, inputs,
        [&](const std::vector<Array>& outputs) { take_outputs(call, context.ledger, outputs); });
  }
};

}  // namespace

NodeType sample_type(const std::string& file, const Description& description) {
  NodeType type = described_type(description, Scope::sample);
  type.make = [file, &description] { return std::make_unique<SampleNode>(file, description); };
  return type;
}

}  // namespace flowrun::python
