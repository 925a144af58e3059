#include "graph/run/bind.h"

namespace flowrun {
namespace {

class Binder final : public ModelVisitor {
 public:
  Binder(const std::vector<CheckedModel>& models, const std::vector<std::unique_ptr<Resource>>& resources) : models_(models), resources_(resources) {}
  void visit(const ParamInfo&, Models& models, Models::Access, bool) override {
    models.resources.clear();
    for (const std::string& name : models.names) {
      for (size_t m = 0; m < resources_.size(); ++m) {
        if (models_[m].name == name) models.resources.push_back(resources_[m].get());
      }
    }
  }

 private:
  const std::vector<CheckedModel>& models_;
  const std::vector<std::unique_ptr<Resource>>& resources_;
};

}  // namespace

void bind_models(ParamSet& params, const std::vector<CheckedModel>& models, const std::vector<std::unique_ptr<Resource>>& resources) {
  Binder binder(models, resources);
  params.describe(binder);
}

std::vector<bool> changed_models(const CheckedPipeline& pipeline) {
  std::vector<bool> changed(pipeline.models.size());
  for (const CheckedNode& node : pipeline.nodes) {
    for (const ModelUse& use : node.uses) {
      if (node.type->stateful && use.access == Models::Access::writes) changed[static_cast<size_t>(use.model)] = true;
    }
  }
  return changed;
}

std::string message_of(const std::exception& error) {
  const std::string text = error.what();
  return text.substr(0, text.find("\nException raised from"));
}

void guard(const std::string& name, const std::function<void()>& work) {
  try {
    work();
  } catch (const PipelineError&) {
    throw;
  } catch (const std::exception& error) {
    throw RunError(name + ": " + message_of(error));
  }
}

}  // namespace flowrun
