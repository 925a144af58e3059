// One Bootleg training step on the model layer, for compare.py: the same protocol, sizes and arithmetic as eager.py.
//   perf_step device precision threads image patch width depth heads batch visible regions length
// "step" on stdin: a whole step; prints its milliseconds and the loss. "played": one whose passes are recorded the first time
// and played from then on. "parts": one whose parts are waited for; prints the milliseconds of each. "memory": the peak in MiB,
// on a GPU what LibTorch's allocator reserved there. What fails is answered by a line "error: why"; the program then ends.
#include <ATen/Parallel.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/randn.h>
#include <c10/core/CachingDeviceAllocator.h>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <sys/resource.h>
#include <vector>

#include "graph/contract/device.h"
#include "graph/contract/rng.h"
#include "nodes/lib/tensor/device/recording.h"
#include "nodes/lib/tensor/device/side_stream.h"
#include "nodes/lib/tensor/loss/regression.h"
#include "nodes/lib/tensor/model/transformer_predictor.h"
#include "nodes/lib/tensor/model/vit.h"
#include "nodes/lib/tensor/optim/adamw_math.h"
#include "nodes/lib/tensor/optim/gradient_homes.h"
#include "nodes/lib/tensor/target/normalised.h"

using namespace flowrun;

namespace {

using Clock = std::chrono::steady_clock;

double milliseconds(Clock::time_point since) { return std::chrono::duration<double, std::milli>(Clock::now() - since).count(); }

struct Sizes {
  int64_t threads, image, patch, width, depth, heads, batch, visible, regions, length;
};

/// The first `visible` patches of a random order are seen; targets are drawn from the others.
void draw_masks(const Sizes& n, Tensor& visible_BK, Tensor& targets_BRM) {
  const int64_t patches = (n.image / n.patch) * (n.image / n.patch);
  visible_BK = at::empty({n.batch, n.visible}, at::kLong);
  targets_BRM = at::empty({n.batch, n.regions, n.length}, at::kLong);
  int64_t* visible = visible_BK.mutable_data_ptr<int64_t>();
  int64_t* target = targets_BRM.mutable_data_ptr<int64_t>();
  for (int64_t image = 0; image < n.batch; ++image) {
    const Permutation order(static_cast<uint64_t>(patches), 1, 2, static_cast<uint64_t>(image));
    const auto place = [&](int64_t i) { return static_cast<int64_t>(order(static_cast<uint64_t>(i))); };
    for (int64_t i = 0; i < n.visible; ++i) *visible++ = place(i);
    for (int64_t i = 0; i < n.regions * n.length; ++i) *target++ = place(n.visible + i % (patches - n.visible));
  }
}

/// The first block and every fourth (the paper's rule).
std::vector<int64_t> taps_of(int64_t depth) {
  std::vector<int64_t> taps = {1};
  for (int64_t block = 4; block <= depth; block += 4) taps.push_back(block);
  return taps;
}

DeviceRuntime& runtime_of(at::Device device) { return device_runtime(at::DeviceTypeName(device.type(), /*lower_case=*/true)); }

class Step {
 public:
  Step(const Sizes& n, at::Device device)
      : taps_(taps_of(n.depth)),
        config_{.image = n.image, .patch = n.patch, .width = n.width, .depth = n.depth, .heads = n.heads},
        student_(config_),
        teacher_(config_),
        predictor_({.grid = config_.grid(),
                    .encoder_width = n.width,
                    .width = n.width / 2,
                    .heads = std::max<int64_t>(16, n.heads),
                    .out_width = static_cast<int64_t>(taps_.size()) * n.width}) {
    student_.parameters().initialise(1), predictor_.parameters().initialise(1);
    student_.to(device, at::kFloat), teacher_.to(device, at::kFloat), predictor_.to(device, at::kFloat);
    teacher_.parameters().copy_from(student_.parameters());
    student_.parameters().set_requires_grad(true), predictor_.parameters().set_requires_grad(true);
    optimizer_.add("student", student_.parameters());
    optimizer_.add("predictor", predictor_.parameters());
    images_ = at::randn({n.batch, 3, n.image, n.image}).to(device);
    Tensor visible, targets;
    draw_masks(n, visible, targets);
    visible_ = visible.to(device), targets_ = targets.to(device);
  }

  /// `lap` is called behind each part.
  template <class Lap>
  Tensor run(bool beside, const Lap& lap) {
    if (homes_) homes_->begin();
    const Tensor loss = passes(beside, lap);
    if (homes_) homes_->settle();
    update(lap);
    return loss;
  }

  Tensor play() {
    if (!recording_) record();
    recording_->play();
    update([] {});
    return loss_;
  }

 private:
  template <class Lap>
  Tensor passes(bool beside, const Lap& lap) {
    std::optional<SideStream> side;
    Tensor target;
    Arrival arrival;
    {
      const at::NoGradGuard no_grad;
      if (beside) side.emplace(images_.device(), std::vector{images_, targets_});
      const auto hidden = teacher_.hidden(images_, taps_);
      lap();
      target = mim::hidden_targets(hidden, targets_);
      if (side) arrival = side->arrival();
      side.reset();
      lap();
    }
    const auto tokens = student_.encode_visible(images_, visible_);
    lap();
    const Tensor prediction = predictor_.predict(tokens.cls_B1D, tokens.patch, visible_, targets_);
    lap();
    arrival.wait(target);
    const Tensor loss = loss::value(prediction, target, {});
    lap();
    loss.backward();
    lap();
    return loss;
  }

  template <class Lap>
  void update(const Lap& lap) {
    optimizer_.step(1e-3, 0.05);
    optimizer_.zero_grad();
    if (homes_) homes_->clear();
    lap();
    train::ema_update(teacher_.parameters(), student_.parameters(), 0.9985);
    lap();
  }

  /// Records even if the host is not the limit: the benchmark measures recordings.
  void record() {
    std::vector<Tensor> all;
    for (const model::Parameters* parameters : {&student_.parameters(), &predictor_.parameters()}) {
      for (const model::Parameter& parameter : *parameters) all.push_back(parameter.value);
    }
    homes_.emplace(all);
    run(true, [] {});  // gradients get their places
    const auto work = [&] {
      homes_->begin();
      loss_ = passes(true, [] {}).detach();
      homes_->settle();
    };
    Recorded recorded = runtime_of(images_.device()).record(work, /*compare=*/false);
    if (recorded.recording == nullptr) throw std::runtime_error(recorded.why_not);
    recording_ = std::move(recorded.recording);
    optimizer_.zero_grad();
    homes_->clear();  // the recording has played once
  }

  std::vector<int64_t> taps_;
  model::VitConfig config_;
  model::Vit student_, teacher_;
  model::TransformerPredictor predictor_;
  train::AdamW optimizer_;
  Tensor images_, visible_, targets_, loss_;
  std::optional<train::GradientHomes> homes_;
  std::unique_ptr<Recording> recording_;
};

void wait_for_device(at::Device device) { runtime_of(device).leave(); }

double peak_mib(at::Device device) {
  if (device.is_cuda()) {
    const auto stats = c10::getDeviceAllocator(device.type())->getDeviceStats(device.index());
    return static_cast<double>(stats.reserved_bytes[static_cast<size_t>(c10::CachingAllocator::StatType::AGGREGATE)].peak) / (1 << 20);
  }
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_maxrss) / 1024;
}

void answer(Step& step, at::Device device, const std::string& line) {
  if (line == "memory") {
    std::printf("%.1f\n", peak_mib(device));
  } else if (line == "parts") {
    std::vector<double> parts;
    auto last = Clock::now();
    step.run(false, [&] { wait_for_device(device), parts.push_back(milliseconds(last)), last = Clock::now(); });
    for (const double part : parts) std::printf("%.3f ", part);
    std::printf("\n");
  } else {
    const auto start = Clock::now();
    const Tensor loss = line == "played" ? step.play() : step.run(true, [] {});
    wait_for_device(device);
    std::printf("%.3f ", milliseconds(start));
    std::printf("%.6f\n", loss.item<double>());
  }
}

void serve(int argc, char** argv) {
  if (argc != 13) throw std::invalid_argument("usage: see the head of step.cpp");
  RunParams run;
  run.device = argv[1], run.precision = argv[2];
  int64_t numbers[10];
  for (int i = 0; i < 10; ++i) numbers[i] = std::atoll(argv[i + 3]);
  const Sizes n{numbers[0], numbers[1], numbers[2], numbers[3], numbers[4], numbers[5], numbers[6], numbers[7], numbers[8], numbers[9]};
  run.intra_op = n.threads;
  resolve_device(run);
  device_runtime(run.device).enter(run);
  const at::Device device = at::Device(run.device);
  Step step(n, device);
  for (std::string line; std::getline(std::cin, line);) {
    answer(step, device, line);
    std::fflush(stdout);
  }
}

/// On one line: LibTorch's messages have a stack behind them.
std::string first_line(const std::string& text) { return text.substr(0, text.find('\n')); }

}  // namespace

int main(int argc, char** argv) {
  try {
    serve(argc, argv);
  } catch (const std::exception& error) {
    std::printf("error: %s\n", first_line(error.what()).c_str());
    std::fflush(stdout);
    std::_Exit(1);  // what a failed recording left behind can't always be freed
  }
}
