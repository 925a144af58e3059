#include "nodes/lib/host/python/python_node.h"

#include <atomic>
#include <utility>

namespace flowrun::python {
namespace {

int64_t next_number() {
  static std::atomic<int64_t> last{0};
  return ++last;
}

}  // namespace

PythonNode::PythonNode(std::string file, const Description& description)
    : file_(std::move(file)),
      description_(description),
      params_(description.params),
      workers_(workers_of(file_)),
      instance_{.number = next_number(), .type = description.type, .params = {}} {}

PythonNode::~PythonNode() {
  if (open_) workers_->close(instance_);
}

void PythonNode::open(const OpenContext&) {
  instance_.params = nlohmann::json(write_params(params_));
  open_ = true;
  said_ = workers_->open(instance_);
}

size_t PythonNode::expected_outputs() const {
  size_t out = 0;
  for (const Port& port : description_.ports) out += port.input ? 0 : 1;
  return out;
}

void PythonNode::require_count(size_t got) const {
  if (got != expected_outputs()) throw FatalNodeError("Python gave " + std::to_string(got) + " values, not " + std::to_string(expected_outputs()));
}

void PythonNode::take_outputs(const Call& call, const LedgerEntry& ledger, const std::vector<Array>& outputs) const {
  size_t next = 0;
  for (size_t i = 0; i < description_.ports.size(); ++i) {
    const Port& port = description_.ports[i];
    if (port.input) continue;
    const Array& array = outputs[next++];
    const void* like = nullptr;
    for (size_t j = 0; j < i && like == nullptr; ++j) {
      if (description_.ports[j].input && description_.ports[j].type == port.type) like = call.object(call.slots[j]);
    }
    void* const value = call.object(call.slots[i]);
    if (value != nullptr) port.type->unpack(array, like, value);
    ledger.add(hash_bytes(array.data(), array.bytes(), next));
  }
}

NodeType described_type(const Description& description, Scope scope) {
  NodeType type;
  type.info = {.type = description.type.c_str(), .brief = description.brief.c_str(), .scope = scope, .details = description.details.c_str()};
  for (const Port& port : description.ports) type.ports.push_back({port.name, port.brief, port.input, port.optional, port.type->ops});
  Params params(description.params);
  type.params = document_params(params);
  return type;
}

}  // namespace flowrun::python
