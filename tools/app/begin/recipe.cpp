#include "tools/app/begin/recipe.h"

#include <algorithm>
#include <bit>
#include <cmath>

#include "graph/text/error.h"
#include "tools/app/text.h"

namespace flowrun::app {
namespace {

constexpr int64_t fewest_pictures = 32;
constexpr int64_t few_pictures = 20'000, many_pictures = 500'000;  // where encoders grow
constexpr int64_t most_on_cpu = 64;                                // pixels of a view
constexpr int64_t large_picture = 512;                             // pixels; below, decoding costs little
constexpr double hours_on_cpu = 1;
constexpr double share_of_memory = 0.7;  // the estimate counts neither fragments nor workspaces

struct Arch {
  const char* name;
  int64_t width, depth, heads;
  std::vector<int> blocks;
  int64_t predictor_width;
  double lr;  // of the batch below
  double lr_batch;
};

/// Published ones (docs/paper.md), ti between them and cifar10.json.
const std::vector<Arch>& archs() {
  static const std::vector<Arch> all = {
      {"ti", 192, 12, 3, {1, 4, 8, 12}, 96, 3e-3, 2048},
      {"s", 384, 12, 6, {1, 4, 8, 12}, 192, 3e-3, 2048},
      {"b", 768, 12, 12, {1, 4, 8, 12}, 384, 3e-3, 2048},
      {"l", 1024, 24, 16, {1, 4, 8, 12, 16, 20, 24}, 512, 3e-3, 2048},
  };
  return all;
}

int64_t power_of_two_up_to(double limit) { return static_cast<int64_t>(std::bit_floor(static_cast<uint64_t>(std::max(1.0, limit)))); }

class Maker {
 public:
  Maker(const DataFacts& facts, const OtherParts& parts, const Machine& machine, const Wishes& wishes)
      : facts_(facts), held_out_(parts.held_out), maps_(parts.maps), machine_(machine), wishes_(wishes) {
    out_.gpu = machine.gpu;
  }

  Recipe make(const std::function<Cost(const Recipe&)>& cost) {
    choose_size();
    choose_models();
    choose_parts();
    // A batch to ask with; the final ones follow from the epochs.
    out_.batch = out_.group = std::min<int64_t>(64, power_of_two_up_to(static_cast<double>(out_.training)));
    out_.epochs = 1, out_.steps = 1, out_.lr = lr_of_batch_, out_.decay = 0.99;
    out_.memory_mib = 1024, out_.evaluate_every = out_.save_every = 1;
    const Cost found = cost(out_);
    choose_length(found);
    choose_batch();
    choose_group(found);
    choose_rates();
    choose_host();
    return std::move(out_);
  }

 private:
  void because(const std::string& number, const std::string& why) { out_.why[number] = why; }

  void choose_size() {
    static constexpr int64_t sides[] = {224, 192, 160, 128, 96, 64, 48, 32, 24, 16};
    const int64_t most = machine_.gpu ? 224 : most_on_cpu;
    out_.size = wishes_.size;
    if (out_.size == 0) {
      const auto* const fits =
          std::find_if(std::begin(sides), std::end(sides), [&](int64_t side) { return side <= most && side <= facts_.short_side; });
      out_.size = fits == std::end(sides) ? 16 : *fits;
      because("size", print("the largest usual side within the pictures' %d pixels, and within %lld on a %s", facts_.short_side,
                            static_cast<long long>(most), machine_.gpu ? "GPU" : "CPU"));
    } else {
      because("size", "as asked for");
    }
    choose_patch();
    if (facts_.short_side < out_.size) {
      out_.remarks.push_back(print("half of the pictures have a side below %lld pixels: they are enlarged", static_cast<long long>(out_.size)));
    }
    if (facts_.short_side > std::max<int64_t>(large_picture, 4 * out_.size)) {
      out_.remarks.push_back(
          print("the pictures are much larger than the views: flowrun pack DATA SMALLER --to folder --resize %lld makes copies that "
                "decode in a fraction of the time",
                2 * static_cast<long long>(out_.size)));
    }
  }

  void choose_patch() {
    out_.patch = wishes_.patch;
    if (out_.patch > 0) {
      if (out_.size % out_.patch != 0 || out_.size / out_.patch < 5) {
        throw PipelineError(print("error: patches of %lld pixels don't suit views of %lld: the side must be a multiple, with five patches at least",
                                  static_cast<long long>(out_.patch), static_cast<long long>(out_.size)));
      }
      because("patch", "as asked for");
      return;
    }
    for (const int64_t patch : {16, 8, 4, 2}) {
      if (out_.size % patch != 0 || out_.size / patch < 8) continue;
      out_.patch = patch;
      because("patch", print("the largest of 16, 8, 4 and 2 with at least eight patches to a side: %lld x %lld",
                             static_cast<long long>(out_.size / patch), static_cast<long long>(out_.size / patch)));
      return;
    }
    throw PipelineError(print("error: views of %lld pixels can't be cut into patches of 16, 8, 4 or 2 with eight to a side: give --size or --patch",
                              static_cast<long long>(out_.size)));
  }

  void choose_models() {
    std::string arch = wishes_.arch;
    const auto pictures = static_cast<int64_t>(facts_.pictures);
    if (arch.empty() && machine_.gpu) {
      arch = pictures < few_pictures ? "ti" : pictures < many_pictures ? "s" : "b";
      because("encoder", "ti below 20,000 pictures, s below 500,000, else b");
    }
    if (arch.empty()) {
      out_.width = 128, out_.depth = 6, out_.heads = 4, out_.blocks = {1, 2, 4, 6};
      out_.predictor_width = 64, out_.predictor_depth = 2, out_.predictor_heads = 4;
      lr_of_batch_ = 2e-3, lr_batch_ = 256;
      because("encoder", "that of pipelines/cifar10.json: what a CPU can train");
      return;
    }
    if (out_.why["encoder"].empty()) because("encoder", "as asked for");
    const auto found = std::find_if(archs().begin(), archs().end(), [&](const Arch& known) { return known.name == arch; });
    if (found == archs().end()) throw PipelineError("error: --arch " + arch + " is none of ti, s, b and l");
    out_.arch = arch, out_.width = found->width, out_.depth = found->depth, out_.heads = found->heads, out_.blocks = found->blocks;
    out_.predictor_width = found->predictor_width, out_.predictor_depth = arch == "ti" ? 6 : 10, out_.predictor_heads = arch == "ti" ? 6 : 16;
    lr_of_batch_ = found->lr, lr_batch_ = found->lr_batch;
  }

  /// Whether folders say what is in their pictures.
  bool has_classes() {
    const size_t classes = facts_.classes.size();
    if (classes < 2) return false;
    if (facts_.unlabelled == 0 && classes <= facts_.pictures / 4) return true;
    out_.remarks.push_back(facts_.unlabelled > 0
                               ? print("%llu pictures have no class: nothing is evaluated", static_cast<unsigned long long>(facts_.unlabelled))
                               : print("%zu folders for %llu pictures: they are not taken for classes, and nothing is evaluated", classes,
                                       static_cast<unsigned long long>(facts_.pictures)));
    return false;
  }

  void choose_parts() {
    const auto pictures = static_cast<int64_t>(facts_.pictures);
    out_.training = pictures;
    out_.segments = maps_;
    out_.evaluates = maps_ || has_classes();
    if (out_.evaluates && !held_out_) {
      out_.holdout = std::clamp(5000.0 / static_cast<double>(pictures), 0.001, pictures < 1000 ? 0.2 : 0.1);
      out_.training = pictures - static_cast<int64_t>(std::llround(out_.holdout * static_cast<double>(pictures)));
      because("holdout", "a tenth of the pictures, a fifth below 1,000, and 5,000 at most: training never sees them");
    }
    if (out_.training < fewest_pictures) {
      throw PipelineError(print("error: %lld pictures to train on are too few: %lld at least", static_cast<long long>(out_.training),
                                static_cast<long long>(fewest_pictures)));
    }
    if (!out_.evaluates) return;
    const int64_t unseen = held_out_ ? static_cast<int64_t>(*held_out_) : pictures - out_.training;
    out_.known = std::min<int64_t>(out_.training, machine_.gpu ? 50'000 : 2'000);
    out_.unseen = std::min<int64_t>(unseen, machine_.gpu ? 10'000 : 1'000);
    if (out_.segments) {
      out_.known = std::min<int64_t>(out_.known, machine_.gpu ? 2'000 : 200);
      out_.unseen = std::min<int64_t>(out_.unseen, machine_.gpu ? 1'000 : 100);
      return;
    }
    const int64_t of_class = out_.known / static_cast<int64_t>(facts_.classes.size());
    out_.near = std::clamp<int64_t>(of_class / 2, 1, 20);
    because("near", "20, or half of what a class has among the known pictures");
    if (out_.unseen < 100) {
      out_.remarks.push_back(print("accuracies are of %lld unseen pictures: one picture is %.1f points", static_cast<long long>(out_.unseen),
                                   100.0 / static_cast<double>(out_.unseen)));
    }
  }

  void choose_length(const Cost& cost) {
    const auto pictures = static_cast<double>(out_.training);
    out_.images_per_second = machine_.operations > 0 ? machine_.operations / cost.operations : 0;
    const int64_t most = pictures < 100'000 ? 800 : 300;
    out_.epochs = most;
    because("epochs", "800 below 100,000 pictures, else 300");
    if (wishes_.epochs > 0) {
      out_.epochs = wishes_.epochs;
      because("epochs", "as asked for");
      return;
    }
    const double hours = wishes_.hours > 0 ? wishes_.hours : machine_.gpu ? 0 : hours_on_cpu;
    if (hours == 0) return;
    if (out_.images_per_second == 0)
      throw PipelineError("error: this GPU's speed is unknown, so --hours can't limit the epochs: give --device, or --epochs");
    const auto bearable = static_cast<int64_t>(out_.images_per_second * 3600 * hours / pictures);
    if (bearable >= most) return;
    out_.epochs = std::max<int64_t>(1, bearable);
    because("epochs", print("what fits into about %s at %.0f pictures a second, which are assumed of %s", rough_duration(3600 * hours).c_str(),
                            out_.images_per_second, machine_.name.c_str()));
    if (bearable < 1) {
      out_.remarks.push_back(print("one epoch alone takes about %.1f hours", pictures / out_.images_per_second / 3600));
    } else if (bearable < 20) {
      out_.remarks.push_back(print("%lld epochs are few: features will be weak. More time (--hours), a GPU, or smaller views (--size) help",
                                   static_cast<long long>(out_.epochs)));
    }
  }

  void choose_batch() {
    const auto pictures = static_cast<double>(out_.training);
    const double by_epoch = pictures / 100, by_run = pictures * static_cast<double>(out_.epochs) / 2000;
    const double least = std::min(16.0 * static_cast<double>(machine_.gpus), pictures / 2);
    out_.batch = power_of_two_up_to(std::clamp(std::min(by_epoch, by_run), least, 2048.0));
    because("batch", "the largest power of two, up to the paper's 2048, with 100 steps an epoch and 2,000 in all, but 16 at least");
    out_.steps = out_.epochs * (out_.training / out_.batch);
  }

  void choose_group(const Cost& cost) {
    int64_t group = std::min<int64_t>(out_.batch / machine_.gpus, machine_.gpu ? 1024 : 128);
    because("group", machine_.gpu ? "the whole batch of a GPU" : "at most 128 on a CPU");
    if (machine_.gpu && machine_.gpu_memory > 0) {
      const double room = share_of_memory * machine_.gpu_memory - cost.bytes_fixed;
      while (group > 1 && static_cast<double>(group) * cost.bytes_of_picture > room) group /= 2;
      because("group", print("what fits into 0.7 of %.0f GB: about %.0f MB a picture", machine_.gpu_memory / 1e9, cost.bytes_of_picture / 1e6));
    }
    out_.group = std::max<int64_t>(1, group);
  }

  void choose_rates() {
    const double batch = static_cast<double>(out_.batch);
    out_.lr = std::min(3e-3, lr_of_batch_ * std::sqrt(batch / lr_batch_));
    because("lr", print("%.3g x sqrt(batch / %.0f), 0.003 at most", lr_of_batch_, lr_batch_));
    const double horizon = std::max(5.0, 0.137 * std::pow(static_cast<double>(out_.steps), 2.0 / 3));
    out_.decay = 1 - 1 / horizon;
    because("decay", print("the teacher is the mean of about 0.137 x steps^(2/3) = %.0f steps, the line through quickstart.json, cifar10.json and "
                           "pretrain.json",
                           horizon));
  }

  void choose_host() {
    const double batch_mib = static_cast<double>(out_.batch * out_.size * out_.size * 3) / (1 << 20);
    out_.memory_mib = std::max<int64_t>(1024, power_of_two_up_to(12 * batch_mib));
    out_.evaluate_every = std::max<int64_t>(1, out_.epochs / 10);
    out_.save_every = std::max<int64_t>(1, out_.epochs / 50);
    const double share = static_cast<double>(facts_.broken.size()) / static_cast<double>(facts_.looked_at);
    if (share > 0) {
      out_.max_bad = static_cast<int64_t>(std::ceil(2 * share * static_cast<double>(out_.training)));
      because("max_bad", print("twice as many as %zu of %llu make", facts_.broken.size(), static_cast<unsigned long long>(facts_.looked_at)));
    } else if (out_.training >= 10'000) {
      out_.max_bad = out_.training / 10'000;
      because("max_bad", "one picture in 10,000 may be broken; each is listed in quarantine.jsonl");
    }
  }

  const DataFacts& facts_;
  const std::optional<uint64_t> held_out_;
  const bool maps_;
  const Machine& machine_;
  const Wishes& wishes_;
  double lr_of_batch_ = 0, lr_batch_ = 1;
  Recipe out_;
};

}  // namespace

std::string rough_duration(double seconds) {
  if (seconds < 7200) return print("%.0f minutes", std::max(1.0, seconds / 60));
  return print("%.1f hours", seconds / 3600);
}

Recipe make_recipe(const DataFacts& facts, const OtherParts& parts, const Machine& machine, const Wishes& wishes,
                   const std::function<Cost(const Recipe&)>& cost) {
  return Maker(facts, parts, machine, wishes).make(cost);
}

}  // namespace flowrun::app
