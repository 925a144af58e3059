#include "nodes/lib/tensor/model/bank.h"

#include "graph/contract/planned.h"
#include "graph/node.h"
#include "nodes/lib/tensor/model/rows.h"
#include "nodes/lib/tensor/ranks/ranks.h"
#include "nodes/lib/tensor/types/device_ids.h"
#include "nodes/lib/tensor/types/vectors.h"

namespace flowrun {
namespace {

struct MoveBank {
  static constexpr NodeInfo info{
      .type = "train.bank",
      .brief = "Moves the rows of this step's samples towards what both networks made of them: row = momentum x row + (1 - momentum) x the new one.",
      .scope = Scope::step,
      .details =
          "At length 1, of all groups and ranks; of several views of a sample the last one counts (CRD). The first step also sets the bank's "
          "normaliser, the mean over its groups."};
  struct Ports {
    In<Vectors> student{"student", "The rows that loss.crd got, n d."};
    In<Vectors> teacher{"teacher", "Likewise."};
    In<DeviceIds> ids{"ids", "The samples, from batch.stack and device.ids."};
    In<Vectors> normaliser{"normaliser", "From loss.crd."};
    void describe(auto& port) { port(student, teacher, ids, normaliser); }
  };
  struct Params {
    Ref<model::Bank> bank;
    double momentum = 0.5;
    void describe(auto& param) {
      param.writes("bank", bank, "The model.bank to move.");
      param("momentum", momentum, Range{0, 1}, "How much of a row stays.");
    }
  };
  Params params;

  void plan(NodePlan& plan) const {
    const std::string& name = params.bank.names[0];
    for (const char* const rows : {"student", "teacher"}) plan.require_width(rows, params.bank->width(), name, "give it the rows that loss.crd gets");
    if (plan.known("ids").width > 0) plan.fault("ids", "ids are draws of batch.contrast, not the samples themselves", "connect those of batch.stack");
  }

  void open(const OpenContext& context) { model::require_samples(context, *params.bank, params.bank.names[0]); }

  void fold(Ports& port, const FoldContext&) {
    student_.push_back(model::unit_rows(port.student->values_nD.detach()));
    teacher_.push_back(model::unit_rows(port.teacher->values_nD.detach()));
    ids_.push_back(port.ids->ids);
    normalisers_.push_back(port.normaliser->values_nD);
  }

  void run(Ports&, StepContext& context) {
    const auto all = [&](std::vector<Tensor>& mine) { return ranks::rows(context.run, mine, "the rows of the bank"); };
    const Tensor ids_n = all(ids_), student_nd = all(student_), teacher_nd = all(teacher_);
    params.bank->move({.ids_n = ids_n, .student_nd = student_nd, .teacher_nd = teacher_nd}, params.momentum);
    params.bank->normalise_by(all(normalisers_).mean(0));
  }

 private:
  std::vector<Tensor> student_, teacher_, ids_, normalisers_;  // of each group
};

FLOWRUN_NODE(MoveBank);

}  // namespace
}  // namespace flowrun
