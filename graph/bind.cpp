#include "graph/bind.h"

namespace flowrun {
namespace {

class Binder final : public ParamVisitor {
 public:
  Binder(const std::vector<CheckedModel>& models, const std::vector<std::unique_ptr<Resource>>& resources) : models_(models), resources_(resources) {}
  void visit(const ParamInfo&, bool&) override {}
  void visit(const ParamInfo&, int64_t&) override {}
  void visit(const ParamInfo&, double&) override {}
  void visit(const ParamInfo&, std::string&) override {}
  void visit(const ParamInfo&, std::vector<int64_t>&) override {}
  void visit(const ParamInfo&, std::vector<double>&) override {}
  void visit(const ParamInfo&, std::vector<std::string>&) override {}
  bool begin_object(const ParamInfo&) override { return true; }
  void end_object() override {}
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

}  // namespace flowrun
