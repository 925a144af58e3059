// One Bootleg training step on the model layer, for compare.py: reads a line, does a step, prints its milliseconds and
// the loss. The same protocol, sizes and arithmetic as eager.py.
//   step threads image patch width depth heads taps batch visible regions length
#include <ATen/Parallel.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/randn.h>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <string>
#include <sys/resource.h>
#include <vector>

#include "graph/rng.h"
#include "nodes/loss/regression.h"
#include "nodes/mim/math.h"
#include "nodes/model/predictor.h"
#include "nodes/model/vit.h"
#include "nodes/train/adamw_math.h"

using namespace flowrun;

namespace {

using Clock = std::chrono::steady_clock;

double milliseconds(Clock::time_point since) { return std::chrono::duration<double, std::milli>(Clock::now() - since).count(); }

struct Sizes {
  int64_t threads, image, patch, width, depth, heads, taps, batch, visible, regions, length;
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

}  // namespace

int main(int argc, char** argv) {
  if (argc != 12) return std::fprintf(stderr, "usage: see the head of step.cpp\n"), 2;
  int64_t numbers[11];
  for (int i = 0; i < 11; ++i) numbers[i] = std::atoll(argv[i + 1]);
  const Sizes n{numbers[0], numbers[1], numbers[2], numbers[3], numbers[4], numbers[5], numbers[6], numbers[7], numbers[8], numbers[9], numbers[10]};
  at::set_num_threads(static_cast<int>(n.threads));

  const model::VitConfig config{.image = n.image, .patch = n.patch, .width = n.width, .depth = n.depth, .heads = n.heads};
  model::Vit student(config), teacher(config);
  model::Predictor predictor({.grid = config.grid(), .encoder_width = n.width, .width = n.width / 2, .out_width = n.taps * n.width});
  student.parameters().initialise(1), predictor.parameters().initialise(1);
  teacher.parameters().copy_from(student.parameters());
  student.parameters().set_requires_grad(true), predictor.parameters().set_requires_grad(true);
  train::AdamW optimizer;
  optimizer.add("student", student.parameters());
  optimizer.add("predictor", predictor.parameters());
  std::vector<int64_t> taps;
  for (int64_t i = 1; i <= n.taps; ++i) taps.push_back(i * n.depth / n.taps);
  const Tensor images = at::randn({n.batch, 3, n.image, n.image});
  Tensor visible, targets;
  draw_masks(n, visible, targets);

  for (std::string line; std::getline(std::cin, line);) {
    const auto start = Clock::now();
    std::vector<double> parts;
    auto last = start;
    const auto lap = [&] { parts.push_back(milliseconds(last)), last = Clock::now(); };
    Tensor target;
    {
      const at::NoGradGuard no_grad;
      const auto hidden = teacher.hidden(images, taps);
      lap();
      target = mim::hidden_targets(hidden, targets);
      lap();
    }
    const auto tokens = student.encode_visible(images, visible);
    lap();
    const Tensor prediction = predictor.predict(tokens.cls_B1D, tokens.patch, visible, targets);
    lap();
    const Tensor loss = loss::value(prediction, target, {});
    lap();
    optimizer.zero_grad();
    loss.backward();
    lap();
    optimizer.step(1e-3, 0.05);
    lap();
    train::ema_update(teacher.parameters(), student.parameters(), 0.9985);
    lap();
    std::printf("%.3f %.6f", milliseconds(start), loss.item<double>());
    for (const double part : parts) std::printf(" %.3f", part);
    std::printf("\n");
    std::fflush(stdout);
  }
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  std::fprintf(stderr, "step: %ld minor faults, %.1f s user, %.1f s system\n", usage.ru_minflt,
               static_cast<double>(usage.ru_utime.tv_sec) + static_cast<double>(usage.ru_utime.tv_usec) * 1e-6,
               static_cast<double>(usage.ru_stime.tv_sec) + static_cast<double>(usage.ru_stime.tv_usec) * 1e-6);
}
