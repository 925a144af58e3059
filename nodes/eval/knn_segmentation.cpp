#include "graph/node.h"
#include "nodes/lib/tensor/metric/collect_patches.h"
#include "nodes/lib/tensor/metric/confusion.h"
#include "nodes/lib/tensor/metric/logistic_math.h"
#include "nodes/lib/tensor/metric/segment_knn.h"
#include "nodes/lib/tensor/metric/selection.h"

namespace flowrun {
namespace {

const char* metric_name(eval::Metric metric) { return metric == eval::Metric::cosine ? "cosine" : "l2"; }

struct KnnSegmentation : eval::OnPatches<KnnSegmentation> {
  static constexpr NodeInfo info{
      .type = "eval.knn_segmentation",
      .brief = "Segmentation by the nearest patches of labelled images.",
      .scope = Scope::evaluation,
      .details =
          "CAPI's protocol: features are standardised per dimension by the train patches; train patches that are mostly unlabelled are left out; "
          "each pixel takes the most frequent label that the k nearest patches have at its place (the smallest of equally frequent ones; unlabelled "
          "pixels don't vote, which is our choice). k and metric are chosen by mIoU on train images set aside, then all train images are searched. "
          "Exact search in float32. Reports miou (mean IoU over the classes that truth or prediction hold, all pixels pooled), pixel_accuracy, "
          "classes (how many the mean is over), k and selection_miou, and notes the metric. Trains nothing."};
  struct Ports : OnPatches::Ports {
    Ports() : OnPatches::Ports("Tokens of the images that vote, with label maps.") {}
  };
  struct Params {
    std::vector<int64_t> k = {1, 3, 10, 30};
    std::vector<std::string> metrics = {"cosine", "l2"};
    eval::Selection selection;
    void describe(auto& param) {
      param("k", k, positive, "Numbers of neighbours to choose from.");
      param("metrics", metrics, "Distances to choose from: cosine, l2.");
      selection.describe(param);
    }
    std::optional<ParamFault> check() const {
      if (k.empty()) return ParamFault{"k", "k must have at least one number"};
      if (metrics.empty()) return ParamFault{"metrics", "metrics must have at least one name"};
      for (const std::string& metric : metrics) {
        if (metric != "cosine" && metric != "l2") return ParamFault{"metrics", "metrics can be cosine and l2, not \"" + metric + "\""};
      }
      return {};
    }
  };
  Params params;
  static std::vector<std::string> reports() { return {"miou", "pixel_accuracy", "classes", "k", "selection_miou"}; }

  void score(eval::Patches train, eval::Patches test, EvaluationContext& context) const {
    eval::check_label_maps(train, test, context.run);
    const int64_t classes = eval::class_count(train, test);
    const eval::Standardiser standard(train.features_ND);
    for (eval::Patches* patches : {&train, &test}) patches->features_ND = standard.apply(patches->features_ND).to(at::kFloat);

    const Choice choice = params.selection.on_test() ? best(train.labelled(), test, classes) : best_of_held_out(train, classes, context.run.seed);
    const Tensor counts = eval::knn_confusions(train.labelled(), test, {choice.k}, choice.metric, classes)[0];
    const eval::SegmentScores scores = eval::segment_scores(counts);
    context.report("miou", scores.miou);
    context.report("pixel_accuracy", scores.pixel_accuracy);
    context.report("classes", static_cast<double>(scores.classes));
    context.report("k", static_cast<double>(choice.k));
    context.report("selection_miou", choice.miou);
    context.note("metric", metric_name(choice.metric));
    context.note("selected_on", params.selection.on);
  }

 private:
  struct Choice {
    int64_t k = 0;
    eval::Metric metric = eval::Metric::cosine;
    double miou = -1;
  };

  /// The first of the best.
  Choice best(const eval::Patches& keys, const eval::Patches& queries, int64_t classes) const {
    Choice choice;
    for (const std::string& name : params.metrics) {
      const eval::Metric metric = name == "cosine" ? eval::Metric::cosine : eval::Metric::l2;
      const std::vector<Tensor> counts = eval::knn_confusions(keys, queries, params.k, metric, classes);
      for (size_t i = 0; i < counts.size(); ++i) {
        const double miou = eval::segment_scores(counts[i]).miou;
        if (miou > choice.miou) choice = {params.k[i], metric, miou};
      }
    }
    return choice;
  }
  Choice best_of_held_out(const eval::Patches& train, int64_t classes, uint64_t seed) const {
    const eval::HeldOut images = eval::hold_out(train.images(), params.selection.holdout, seed);
    return best(train.of_images(images.rest).labelled(), train.of_images(images.held), classes);
  }
};

FLOWRUN_NODE(KnnSegmentation);

}  // namespace
}  // namespace flowrun
