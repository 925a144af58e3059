// Nodes as a file of Python declares them (tools/python/flowrun/_node.py).
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <variant>
#include <vector>

#include "graph/node.h"
#include "nodes/lib/host/python/value.h"

namespace flowrun::python {

enum class Kind { sample, mask, source };

struct Port {
  std::string name, brief;
  const ValueType* type;
  bool input = true, optional = false;
};

using ParamValue = std::variant<bool, int64_t, double, std::string, std::vector<int64_t>, std::vector<double>, std::vector<std::string>>;

struct Param {
  std::string name, brief;
  ParamValue initial;
  bool required = false;
  Range range{};
  Choices choices;  // of a string; empty: any
};

struct Description {
  std::string type, brief, details;
  Kind kind;
  std::vector<Port> ports;  // inputs first; of a mask node none
  std::vector<Param> params;
  bool varies = false;  // of a mask node: images may hide different numbers of patches
};

/// Reads what a worker says of its file. Throws std::invalid_argument that says what is wrong.
std::vector<Description> read_descriptions(const nlohmann::json& file);

/// The parameters of one node of a pipeline. `declared` outlives it.
class Params final : public ParamSet {
 public:
  explicit Params(const std::vector<Param>& declared);
  void describe(ParamVisitor& visitor) override;

 private:
  const std::vector<Param>& declared_;
  std::vector<ParamValue> values_;
};

}  // namespace flowrun::python
