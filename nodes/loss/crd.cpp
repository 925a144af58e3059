#include <ATen/ops/stack.h>
#include <ATen/ops/where.h>

#include "graph/contract/planned.h"
#include "graph/node.h"
#include "nodes/lib/tensor/loss/contrast.h"
#include "nodes/lib/tensor/loss/view_loss.h"
#include "nodes/lib/tensor/model/bank.h"
#include "nodes/lib/tensor/model/rows.h"
#include "nodes/lib/tensor/types/device_ids.h"
#include "nodes/lib/tensor/types/vectors.h"

namespace flowrun {
namespace {

struct Crd {
  static constexpr NodeInfo info = loss::info(
      {.type = "loss.crd",
       .brief = "Noise-contrastive loss of student rows against a bank of teacher rows, and of teacher rows against a bank of student rows: "
                "contrastive representation distillation.",
       .details =
           "Rows of length 1 against rows of a bank (Tian et al., 2020), in float32: with P = e^(v.m / temperature) / Z and c = negatives / samples, "
           "minus the mean over rows of log(P / (P + c)) of the positive and of the sum of log(c / (P + c)) over the negatives; the student's rows "
           "against the teacher's bank, plus the teacher's against the student's. The vectors come from heads that are trained, both of them. Z is "
           "the mean of the first step's e^(...), times the samples, and stays; in the first step each group has its own. A step sees the bank of "
           "the step before."});
  struct Ports {
    In<Vectors> student{"student", "The student's rows, n d, from a head that is trained."};
    In<Vectors> teacher{"teacher", "The teacher's rows, n d, likewise."};
    In<DeviceIds> ids{"ids", "n x (1 + negatives), from batch.contrast and device.ids."};
    Out<Loss> loss{"loss", "A scalar."};
    Out<Vectors> normaliser{"normaliser", "1 2: Z of this group, for train.bank."};
    void describe(auto& port) { port(student, teacher, ids, loss, normaliser); }
  };
  struct Params : loss::Weight {
    Ref<model::Bank> bank;
    double temperature = 0.07;
    void describe(auto& param) {
      param.reads("bank", bank, "The model.bank.");
      param("temperature", temperature, Range{1e-3, 100}, "The published one is 0.07.");
      Weight::describe(param);
    }
  };
  Params params;

  void plan(NodePlan& plan) const {
    const std::string& name = params.bank.names[0];
    plan.require_width("student", params.bank->width(), name, "\"of\" of " + name + " must name the head that makes them");
    plan.require_width("teacher", params.bank->width(), name, "both heads need the same width");
    plan.require_equal("number of views", "student", &Planned::views, "teacher", "both must come from the same crops");
    if (plan.known("ids").width == 0) plan.fault("ids", no_draws, "put a batch.contrast before the device.ids");
    plan.out["normaliser"] = Vectors::planned(1, 2);
  }

  void open(const OpenContext& context) { model::require_samples(context, *params.bank, params.bank.names[0]); }

  int64_t variant(const GroupContext& context) const { return params.variant(context); }

  void run(Ports& port, const GroupContext& context) const {
    const Tensor& drawn_nK = port.ids->ids;
    if (drawn_nK.dim() != 2) throw NodeError(std::string(no_draws) + ": put a batch.contrast before the device.ids");
    const model::Bank& bank = *params.bank;
    const auto scores = [&](const Vectors& rows, const Tensor& bank_Md) {
      return loss::contrast_scores(model::unit_rows(rows.values_nD), bank_Md, drawn_nK, params.temperature);
    };
    const Tensor student = scores(*port.student, bank.teacher_Md()), teacher = scores(*port.teacher, bank.student_Md());
    const Tensor own_2 = at::stack({student.detach().mean(), teacher.detach().mean()}).mul(static_cast<double>(bank.samples()));
    const Tensor z_2 = at::where(bank.normaliser_2().gt(0), bank.normaliser_2(), own_2);
    const Tensor value = loss::contrast(student, z_2.select(0, 0), bank.samples()).add(loss::contrast(teacher, z_2.select(0, 1), bank.samples()));
    params.give(value, context, *port.loss);
    *port.normaliser = {.values_nD = own_2.unsqueeze(0), .views = 1, .image_n = {}, .images = 1};
  }

 private:
  static constexpr const char* no_draws = "ids are those of the samples alone, without any that were drawn for them";
};

FLOWRUN_NODE(Crd);

}  // namespace
}  // namespace flowrun
