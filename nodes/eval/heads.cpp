#include <ATen/ops/full.h>
#include <algorithm>

#include "graph/node.h"
#include "nodes/lib/tensor/metric/confusion.h"
#include "nodes/lib/tensor/metric/label_histogram.h"
#include "nodes/lib/tensor/model/probe.h"
#include "nodes/lib/tensor/ranks/ranks.h"
#include "nodes/lib/tensor/types/device_types.h"

namespace flowrun {
namespace {

/// The results of each head on one stream.
class Tally {
 public:
  void add(const Predictions& group) {
    const bool segments = group.confusion_HCC.defined();
    const Tensor counts = segments ? group.confusion_HCC : group.named_BH.eq(group.labels_B.unsqueeze(1)).sum(0);
    counts_ = counts_.defined() ? counts_.add(counts) : counts;
    if (!segments) images_ += group.labels_B.numel();
  }
  /// Over all ranks; collective.
  void add_up(const RunInfo& run) {
    if (run.ranks == nullptr) return;
    const Tensor mine = counts_.defined() ? counts_.unsqueeze(0) : Tensor();
    if (const Tensor all = ranks::rows(run, mine, "adding up what heads named"); all.defined()) counts_ = all.sum(0);
    images_ = ranks::sum(run, at::full({1}, static_cast<double>(images_), at::kDouble), "adding up images").item<int64_t>();
  }
  void clear() { counts_.reset(), images_ = 0; }
  bool empty() const { return !counts_.defined(); }
  bool segments() const { return counts_.dim() == 3; }

  eval::LabelHistogram labels() const { return eval::LabelHistogram::of_confusion(counts_[0]); }
  eval::SegmentScores scores(int64_t head) const { return eval::segment_scores(counts_[head]); }
  /// Accuracy, or mIoU, of each head.
  std::vector<double> quality() const {
    std::vector<double> out;
    for (int64_t head = 0; head < counts_.size(0); ++head) {
      out.push_back(segments() ? scores(head).miou : static_cast<double>(counts_[head].item<int64_t>()) / static_cast<double>(images_));
    }
    return out;
  }

 private:
  Tensor counts_;  // [H] right, or [H, C, C]
  int64_t images_ = 0;
};

struct Heads {
  static constexpr NodeInfo info{
      .type = "eval.heads",
      .brief = "Accuracy of the best head of a probe; the best head is chosen on images of its own.",
      .scope = Scope::evaluation,
      .details =
          "A probe trains several heads side by side, one for each rate and decay. The head that is best on the selection stream is reported with "
          "its accuracy on the test stream (segmenting heads: miou, pixel_accuracy and the number of classes the mean is over), its "
          "selection_accuracy or selection_miou, lr, weight_decay and number. The accuracy or miou of each head is reported as head_N. Without a "
          "selection stream it chooses on the test images, as papers that report the best head do; selected_on says which."};
  struct Ports {
    In<Predictions> selection{"selection", "Training images set aside, to choose the head on.", optional};
    In<Predictions> test{"test", "Images to report on."};
    void describe(auto& port) { port(selection, test); }
  };
  struct Params {
    Ref<model::Probe> model;
    void describe(auto& param) { param.reads("model", model, "The probe whose predictions come in."); }
  };
  Params params;
  static std::vector<std::string> reports() {
    return {"accuracy", "miou", "pixel_accuracy", "classes", "selection_accuracy", "selection_miou", "head", "lr", "weight_decay", "head_*"};
  }

  void fold(Ports& port, const FoldContext&) {
    if (port.selection) selection_.add(*port.selection);
    if (port.test) test_.add(*port.test);
  }

  void run(Ports&, EvaluationContext& context) {
    const model::Probe& probe = *params.model;
    selection_.add_up(context.run), test_.add_up(context.run);
    const bool segments = test_.segments();
    const std::vector<double> found = test_.quality(), chosen_on = selection_.empty() ? found : selection_.quality();
    const auto best = static_cast<size_t>(std::max_element(chosen_on.begin(), chosen_on.end()) - chosen_on.begin());
    const auto head = static_cast<int64_t>(best);
    if (segments) {
      eval::require_classes(test_.labels(), "test");
      const eval::SegmentScores scores = test_.scores(head);
      context.report("miou", scores.miou);
      context.report("pixel_accuracy", scores.pixel_accuracy);
      context.report("classes", static_cast<double>(scores.classes));
    } else {
      context.report("accuracy", found[best]);
    }
    context.report(segments ? "selection_miou" : "selection_accuracy", chosen_on[best]);
    context.report("head", static_cast<double>(head));
    context.report("lr", probe.lr(head));
    context.report("weight_decay", probe.decay(head));
    for (size_t h = 0; h < found.size(); ++h) context.report("head_" + std::string(h < 10 ? "0" : "") + std::to_string(h), found[h]);
    context.note("selected_on", selection_.empty() ? "test" : "holdout");
    selection_.clear(), test_.clear();
  }

 private:
  Tally selection_, test_;
};

FLOWRUN_NODE(Heads);

}  // namespace
}  // namespace flowrun
