// Each timed case of tests/support/kernel_cases.h, ours and ATen's in turns: time, ratio, bytes a second. Trained cases are
// timed with their backward pass.
//   perf_kernels [--threads N] [--seconds S] [--cuda] [--bf16] [--only WORD]
#include <ATen/Parallel.h>
#include <algorithm>
#include <c10/core/impl/VirtualGuardImpl.h>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "nodes/lib/host/device/cuda_module.h"
#include "support/kernel_cases.h"

using namespace flowrun;
using test::KernelCase;

namespace {

struct Settings {
  double seconds = 0.5;
  bool cuda = false;
  at::ScalarType type = at::kFloat;
};

double median(std::vector<double> values) {
  std::nth_element(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2), values.end());
  return values[values.size() / 2];
}

/// The least bytes to read and write: inputs, outputs, and gradients of both.
double bytes_of(const KernelCase& one, const KernelCase::Tensors& inputs, const KernelCase::Tensors& results) {
  double bytes = 0;
  const bool trained = std::count(one.trained.begin(), one.trained.end(), true) > 0;
  for (const at::Tensor& x : inputs) bytes += x.defined() ? static_cast<double>(x.nbytes()) * (trained ? 2 : 1) : 0;
  for (const at::Tensor& x : results) bytes += static_cast<double>(x.nbytes());
  return bytes;
}

void measure(const KernelCase& one, const Settings& settings) {
  KernelCase::Tensors inputs = one.inputs(settings.type);
  if (settings.cuda) {
    for (at::Tensor& x : inputs) x = x.defined() ? x.to(at::kCUDA) : x;
  }
  const KernelCase::Tensors gradients = test::made_up_gradients(one.ours(inputs));
  const auto seconds = [&](const KernelCase::Run& run, int calls) {
    const auto start = std::chrono::steady_clock::now();
    for (int i = 0; i < calls; ++i) test::outputs_and_gradients(one, run, inputs, gradients);
    if (settings.cuda) c10::impl::VirtualGuardImpl(c10::kCUDA).synchronizeDevice(0);
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count() / calls;
  };
  const double once = (seconds(one.ours, 1), seconds(one.aten, 1), seconds(one.ours, 2));  // warm
  const int calls = std::max(1, static_cast<int>(0.005 / once));
  std::vector<double> ours, aten, ratios;
  for (double spent = 0; spent < settings.seconds || ours.size() < 5; spent += (ours.back() + aten.back()) * calls) {
    const bool first = ours.size() % 2 == 0;
    if (first) ours.push_back(seconds(one.ours, calls));
    aten.push_back(seconds(one.aten, calls));
    if (!first) ours.push_back(seconds(one.ours, calls));
    ratios.push_back(ours.back() / aten.back());
  }
  const double bytes = bytes_of(one, inputs, test::outputs_and_gradients(one, one.ours, inputs));
  std::printf("| %s | %.1f | %.1f | %.2f | %.1f |\n", one.name.c_str(), median(ours) * 1e6, median(aten) * 1e6, median(ratios),
              bytes / median(ours) * 1e-9);
  std::fflush(stdout);
}

}  // namespace

int main(int argc, char** argv) {
  Settings settings;
  std::string only;
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i], value = i + 1 < argc ? argv[i + 1] : "";
    if (word == "--threads")
      at::set_num_threads(std::atoi(value.c_str())), ++i;
    else if (word == "--seconds")
      settings.seconds = std::atof(value.c_str()), ++i;
    else if (word == "--only")
      only = value, ++i;
    else if (word == "--cuda")
      settings.cuda = true;
    else if (word == "--bf16")
      settings.type = at::kBFloat16;
    else
      return std::fprintf(stderr, "usage: see the head of tests/perf/kernels/main.cpp\n"), 2;
  }
  if (settings.cuda && !CudaModule::get().missing.empty()) return std::fprintf(stderr, "%s\n", CudaModule::get().missing.c_str()), 1;
  std::printf("| %s, %s | us | ATen, us | ratio | GB/s |\n|---|---|---|---|---|\n",
              settings.cuda ? "CUDA" : (std::to_string(at::get_num_threads()) + " thread(s)").c_str(), at::toString(settings.type));
  for (const KernelCase& one : test::kernel_cases()) {
    if (one.timed && one.name.find(only) != std::string::npos) measure(one, settings);
  }
}
