// The base of every model: parameters and buffers, saved, restored, copied and moved.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "graph/contract/state.h"
#include "nodes/lib/tensor/model/parameters.h"
#include "nodes/lib/tensor/model/pass.h"

namespace flowrun {
struct RunInfo;
}

namespace flowrun::model {

/// Named values of a model that no gradient reaches, such as running statistics: float32, or int64 for counts. They are
/// saved, restored and copied with the parameters. Not thread-safe; concurrent readers are fine.
class Buffers {
 public:
  /// Returns its index. Throws std::invalid_argument if the name is taken.
  size_t add(std::string name, Tensor value);
  size_t size() const { return list_.size(); }
  auto begin() const { return list_.begin(); }
  auto end() const { return list_.end(); }
  const Tensor& operator[](size_t index) const { return list_[index].second; }
  /// Floating-point values get the type; integers keep theirs.
  void to(at::Device device, at::ScalarType dtype);

 private:
  std::vector<std::pair<std::string, Tensor>> list_;
};

/// How the batch norms of one pass normalise.
struct NormPass {
  bool measures = false;                     ///< by the statistics of what comes in; otherwise by the running ones
  uint64_t group = 0, stream = 0, view = 0;  ///< the pass, for the order in which running statistics move
  const RunInfo* run = nullptr;  ///< run.pass "rank": takes the statistics of all ranks together, which make the same pass now; null: its own
};

class BatchNorms;

/// A model of a pipeline, on the device of the run. A class of its own computes its passes (one class for each model),
/// and derives from a face that nodes ask for by Ref<>: Encoder, Head, Predictor, or this where any model does.
///
/// Passes may run concurrently. Only nodes that declared the access touch a model, and the engine orders them.
class Module : public Resource {
 public:
  static constexpr const char* kind = "";  // any

  explicit Module(std::string family = "") : parameters_(std::move(family)) {}

  Parameters& parameters() { return parameters_; }
  const Parameters& parameters() const { return parameters_; }
  Buffers& buffers() { return buffers_; }
  const Buffers& buffers() const { return buffers_; }

  /// Nothing may change it from now on, and its passes drop nothing at random.
  void freeze() { frozen_ = true; }
  bool frozen() const { return frozen_; }

  /// Length of the vectors that it makes, for models that take them; nothing: it makes none.
  virtual std::optional<int64_t> vector_width() const { return {}; }
  /// Takes the values of a safetensors file, whose names and shapes must be the model's own. Returns what it took, for the log. Throws
  /// std::invalid_argument that says what is missing, superfluous or of another shape, and what read_weights() throws.
  virtual std::string take_weights(const std::string& file);
  /// Whether a tensor of a file of weights belongs to what others put behind such a model, and is passed over.
  virtual bool leaves_out(std::string_view) const { return false; }
  /// Makes parameters fit what they must be after each update: prototypes of length 1.
  virtual void constrain() {}
  /// Null: the model has no batch norm.
  virtual BatchNorms* norms() { return nullptr; }

  /// Moves parameters, buffers and what is computed from the configuration.
  virtual void to(at::Device device, at::ScalarType dtype);
  /// The same values in memory of their own, without gradients.
  std::unique_ptr<Module> clone() const;
  /// Operations and bytes of one pass over one image; null: not counted.
  virtual std::optional<Cost> cost(const Pass& pass) const;

  /// Parameters, buffers and notes().
  State save() const override;
  /// Every parameter and buffer must be there in its shape; other arrays are passed over.
  void restore(const State& state) override;

 protected:
  /// A model of the same configuration, whose values nobody has set.
  virtual std::unique_ptr<Module> fresh() const = 0;
  /// Arrays that are saved besides for readers of the file, by name: computed tables, and numbers the shapes don't tell ("@heads").
  virtual std::vector<std::pair<std::string, Tensor>> notes() const { return {}; }

  Parameters parameters_;
  Buffers buffers_;

 private:
  bool frozen_ = false;
};

/// For nodes that change a model: throws NodeError, with the model's name in the pipeline, if it is frozen.
void require_not_frozen(const Module& module, const std::string& name);

}  // namespace flowrun::model
