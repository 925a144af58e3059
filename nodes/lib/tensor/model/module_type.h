// From a struct that makes a model to a model type of pipelines, with the parameters that all models have.
#pragma once

#include <memory>
#include <string>

#include "graph/node.h"
#include "nodes/lib/tensor/model/module.h"

namespace flowrun {

/// Fills the model with the values of a safetensors file: a checkpoint's file of a model of the same kind, for encoders also
/// what model.pretrained reads. Throws NodeError that names the file and what is missing, superfluous or of another shape.
void load_given_weights(model::Module& module, const std::string& file, const std::string& name);

/// M has `info`, `Params` and `std::unique_ptr<Made> make(const OpenContext&)`, which returns the model with its first values on
/// the device of the run.
template <class M>
struct ModuleType {
  static constexpr ModelInfo info = M::info;
  struct Params : M::Params {
    std::string weights;
    bool frozen = false;
    void describe(auto& param) {
      M::Params::describe(param);
      param("weights", weights, "A safetensors file with its first values, relative to where the program is started; empty: they are drawn.");
      param("frozen", frozen, "Whether it never changes: no node may train it, and nothing of it is dropped at random.");
    }
  };
  Params params;

  std::unique_ptr<Resource> open(const OpenContext& context) {
    M maker;
    maker.params = params;
    std::unique_ptr<model::Module> module = maker.make(context);
    if (!params.weights.empty()) load_given_weights(*module, params.weights, context.name);
    if (params.frozen) module->freeze();
    return module;
  }
};

}  // namespace flowrun

/// At namespace scope of the .cpp that holds the model type.
#define FLOWRUN_MODULE(M)                   \
  using M##Type = ::flowrun::ModuleType<M>; \
  FLOWRUN_MODEL(M##Type)
