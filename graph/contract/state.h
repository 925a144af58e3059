// The states of models and stateful nodes in a checkpoint, independent of tensors: named arrays of bytes.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

namespace flowrun {

/// A packed, row-major array on the host. `data` keeps its memory alive.
struct StateArray {
  std::string dtype;  // as safetensors names it: F32, F64, I64, U8, …
  std::vector<int64_t> shape;
  std::shared_ptr<const void> data;
  size_t bytes = 0;
};

/// The arrays of one owner (a model or a node), by name; names are unique. A name that begins with "@" is a single F64
/// that files keep as text beside the arrays, for readers that know only the weights (the number of a transformer's
/// heads, for example); restore() does not get it back.
using State = std::map<std::string, StateArray>;

/// An entry of a pipeline's "models": it lives through the run, and nodes read and write it. Only nodes that declared
/// the access touch it, and the engine orders them; so it needs no locks.
class Resource {
 public:
  virtual ~Resource() = default;
  /// Complete: restoring it into a fresh resource of the same pipeline gives the same future, bit for bit.
  virtual State save() const = 0;
  /// Throws std::runtime_error naming the array that is missing, superfluous or of another shape.
  virtual void restore(const State& state) = 0;
};

}  // namespace flowrun
