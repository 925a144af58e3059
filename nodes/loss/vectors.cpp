#include "nodes/lib/tensor/types/vectors.h"

#include "graph/contract/planned.h"
#include "graph/node.h"
#include "nodes/lib/tensor/loss/rows.h"
#include "nodes/lib/tensor/loss/view_loss.h"

namespace flowrun {
namespace {

struct VectorsLoss {
  static constexpr NodeInfo info = loss::info(
      {.type = "loss.vectors",
       .brief = "Difference between the vectors of student and teacher, row by row: of pictures, or of patches behind tokens.block.",
       .details = "In float32; no gradient reaches the teacher. Of rows of length 1, or of standardised ones, the size of the features does not "
                  "matter. DMAE: unit rows and l1. Where widths differ, a head stands before the student's."});
  struct Ports {
    In<Vectors> student{"student", "n D."};
    In<Vectors> teacher{"teacher", "n D, of the same images or patches."};
    Out<Loss> loss{"loss", "A scalar."};
    void describe(auto& port) { port(student, teacher, loss); }
  };
  struct Params : loss::Weight {
    std::string distance = "mse", rows = "plain", mean_over = "elements";
    double beta = 1;
    void describe(auto& param) {
      param("distance", distance, distances(), "Squared, absolute, or squared up to beta and absolute beyond.");
      param("rows", rows, forms(), "plain: as they are. unit: at length 1. standard: each row with mean 0 and variance 1.");
      param("mean_over", mean_over, means(), "elements: rows and their width. rows: the sum over the width, a squared norm.");
      param("beta", beta, Range{1e-6, 1e6}, "Of smooth_l1.");
      Weight::describe(param);
    }
    static const Choices& distances() {
      static const Choices choices = {"mse", "l1", "smooth_l1"};
      return choices;
    }
    static const Choices& forms() {
      static const Choices choices = {"plain", "unit", "standard"};
      return choices;
    }
    static const Choices& means() {
      static const Choices choices = {"elements", "rows"};
      return choices;
    }
  };
  Params params;

  void plan(NodePlan& plan) const {
    plan.require_equal("width", "student", &Planned::width, "teacher", "put a head.apply with layers [width of the teacher] before the student's");
    plan.require_equal("number of views", "student", &Planned::views, "teacher", "both must come from the same crops");
  }

  int64_t variant(const GroupContext& context) const { return params.variant(context); }

  void run(Ports& port, const GroupContext& context) const {
    params.give(loss::row_difference(port.student->values_nD, port.teacher->values_nD, options()), context, *port.loss);
  }

 private:
  loss::RowOptions options() const {
    using Form = loss::RowForm;
    using Distance = loss::RowDistance;
    return {.form = params.rows == "unit"       ? Form::unit
                    : params.rows == "standard" ? Form::standard
                                                : Form::plain,
            .distance = params.distance == "l1"    ? Distance::l1
                        : params.distance == "mse" ? Distance::mse
                                                   : Distance::smooth_l1,
            .beta = params.beta,
            .sum_width = params.mean_over == "rows"};
  }
};

FLOWRUN_NODE(VectorsLoss);

}  // namespace
}  // namespace flowrun
