#include <algorithm>

#include "graph/node.h"
#include "nodes/lib/tensor/metric/collect_patches.h"
#include "nodes/lib/tensor/metric/confusion.h"
#include "nodes/lib/tensor/metric/logistic_params.h"

namespace flowrun {
namespace {

struct LinearSegmentation : eval::OnPatches<LinearSegmentation> {
  static constexpr NodeInfo info{
      .type = "eval.linear_segmentation",
      .brief = "Segmentation by a multinomial logistic regression on the features of patches.",
      .scope = Scope::evaluation,
      .details =
          "CAPI's protocol: features are standardised per dimension by the train patches; a patch's label is its most frequent one (the smallest of "
          "equally frequent ones), and train patches that are mostly unlabelled are left out; the fit is that of eval.logistic; all pixels of a "
          "patch get the same class. C is chosen by mIoU on train images set aside, then all train images are fitted again. Reports miou, "
          "pixel_accuracy and classes as eval.knn_segmentation, c, selection_miou and the iterations of the last fit."};
  struct Ports : OnPatches::Ports {
    Ports() : OnPatches::Ports("Tokens of the images to fit on, with label maps.") {}
  };
  using Params = eval::LogisticParams;
  Params params;
  static std::vector<std::string> reports() { return {"miou", "pixel_accuracy", "classes", "c", "selection_miou", "iterations"}; }

  void score(eval::Patches train, eval::Patches test, EvaluationContext& context) const {
    eval::check_label_maps(train, test, context.run);
    const int64_t classes = eval::class_count(train, test);
    const eval::Standardiser standard(train.features_ND);
    for (eval::Patches* patches : {&train, &test}) patches->features_ND = standard.apply(patches->features_ND);

    Choice choice;
    if (params.selection.on_test()) {
      choice = best(train.labelled(), test, classes);
    } else {
      const eval::HeldOut images = eval::hold_out(train.images(), params.selection.holdout, context.run.seed);
      choice = best(train.of_images(images.rest).labelled(), train.of_images(images.held), classes);
      const eval::Patches all = train.labelled();
      choice.fit = eval::fit_logistic(all.features_ND, eval::modes(all.pixels_NF), choice.c, params.lbfgs(), &choice.fit);
    }
    const eval::SegmentScores scores = scores_of(choice.fit, test, classes);
    context.report("miou", scores.miou);
    context.report("pixel_accuracy", scores.pixel_accuracy);
    context.report("classes", static_cast<double>(scores.classes));
    context.report("c", choice.c);
    context.report("selection_miou", choice.miou);
    context.report("iterations", static_cast<double>(choice.fit.iterations));
    context.note("selected_on", params.selection.on);
  }

 private:
  struct Choice {
    eval::Logistic fit;
    double c = 0, miou = -1;
  };

  static eval::SegmentScores scores_of(const eval::Logistic& fit, const eval::Patches& patches, int64_t classes) {
    const Tensor named_NF = fit.predict(patches.features_ND).unsqueeze(1).expand_as(patches.pixels_NF);
    return eval::segment_scores(eval::confusion(patches.pixels_NF, named_NF, classes));
  }

  /// Each fit begins where the one before ended; of equals the smaller c.
  Choice best(const eval::Patches& fit_on, const eval::Patches& select_on, int64_t classes) const {
    std::vector<double> cs = params.c;
    std::sort(cs.begin(), cs.end());
    const Tensor labels = eval::modes(fit_on.pixels_NF);
    Choice choice;
    eval::Logistic last;
    for (const double c : cs) {
      last = eval::fit_logistic(fit_on.features_ND, labels, c, params.lbfgs(), last.classes_C.defined() ? &last : nullptr);
      const double miou = scores_of(last, select_on, classes).miou;
      if (miou > choice.miou) choice = {last, c, miou};
    }
    return choice;
  }
};

FLOWRUN_NODE(LinearSegmentation);

}  // namespace
}  // namespace flowrun
