// Every kernel on the one list of cases: against ATen, against finite differences, and on CUDA where there is a device.
#include "nodes/lib/tensor/kernels/kernels.h"

#include <ATen/Parallel.h>
#include <ATen/core/grad_mode.h>
#include <ATen/detail/CUDAHooksInterface.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/isnan.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/zeros.h>
#include <algorithm>
#include <cmath>
#include <ctime>
#include <gtest/gtest.h>
#include <limits>

#include "nodes/lib/host/device/cuda_module.h"
#include "support/kernel_cases.h"

namespace flowrun {
namespace {

using test::KernelCase, test::kernel_cases, test::made_up, test::outputs_and_gradients;
using Tensors = KernelCase::Tensors;

/// To the size of what is compared.
double limit(at::ScalarType type) { return type == at::kDouble ? 1e-11 : type == at::kFloat ? 1e-5 : 2e-2; }

Tensors converted(const Tensors& tensors, at::ScalarType type) {
  Tensors out;
  for (const Tensor& x : tensors) out.push_back(x.defined() && x.is_floating_point() ? x.to(type) : x);
  return out;
}

Tensors moved(const Tensors& tensors, at::Device device) {
  Tensors out;
  for (const Tensor& x : tensors) out.push_back(x.defined() ? x.to(device) : x);
  return out;
}

bool has_bf16(const Tensors& tensors) {
  for (const Tensor& x : tensors) {
    if (x.defined() && x.scalar_type() == at::kBFloat16) return true;
  }
  return false;
}

void expect_close(const KernelCase& one, const Tensors& ours, const Tensors& expected, double limit) {
  ASSERT_EQ(ours.size(), expected.size());
  const size_t outputs = ours.size() - static_cast<size_t>(std::count(one.trained.begin(), one.trained.end(), true));
  for (size_t i = one.values ? 0 : outputs; i < ours.size(); ++i) {
    ASSERT_EQ(ours[i].sizes(), expected[i].sizes()) << "output " << i;
    if (ours[i].numel() == 0) continue;
    const Tensor a = ours[i].cpu().to(at::kDouble), b = expected[i].cpu().to(at::kDouble);
    if (!at::isnan(b).any().item<bool>()) {
      const double size = std::max(1e-3, b.abs().max().item<double>());
      EXPECT_LE(a.sub(b).abs().max().item<double>(), limit * size) << "output " << i << " of " << ours.size() << ", " << outputs << " of them values";
    } else {
      EXPECT_TRUE(at::equal(at::isnan(a), at::isnan(b))) << "output " << i;
    }
  }
}

/// In bfloat16 ATen rounds in other places: there the same numbers in float32 are the measure.
Tensors expected_of(const KernelCase& one, const Tensors& inputs) {
  if (one.exact) return outputs_and_gradients(one, one.aten, converted(inputs, at::kDouble));
  return outputs_and_gradients(one, one.aten, has_bf16(inputs) ? converted(inputs, at::kFloat) : inputs);
}

double limit_of(const Tensors& inputs, at::ScalarType type) { return limit(has_bf16(inputs) ? at::kBFloat16 : type); }

TEST(Kernels, ValuesAndGradientsAreATens) {
  for (const KernelCase& one : kernel_cases()) {
    for (const at::ScalarType type : one.types) {
      if (one.timed && type != at::kFloat) continue;  // large; the small ones do for the other types
      SCOPED_TRACE(one.name + ", " + at::toString(type));
      const Tensors inputs = one.inputs(type);
      const Tensors ours = outputs_and_gradients(one, one.ours, inputs);
      expect_close(one, ours, expected_of(one, inputs), limit_of(inputs, type));
      const at::NoGradGuard no_grad;  // has a way of its own
      if (one.values) {
        Tensors values = one.ours(inputs);
        for (size_t i = 0; i < values.size(); ++i)
          EXPECT_TRUE(values[i].numel() == 0 || at::equal(values[i].nan_to_num(), ours[i].nan_to_num())) << i;
      }
    }
  }
}

/// Along a direction for each trained input, in float64.
TEST(Kernels, GradientsAreFiniteDifferences) {
  int checked = 0;
  for (const KernelCase& one : kernel_cases()) {
    if (one.types[0] != at::kDouble || one.trained.empty() || one.timed || !one.values) continue;
    Tensors inputs = one.inputs(at::kDouble);
    if (inputs[0].numel() == 0) continue;
    SCOPED_TRACE(one.name);
    const Tensors results = outputs_and_gradients(one, one.ours, inputs);
    const size_t outputs = results.size() - static_cast<size_t>(std::count(one.trained.begin(), one.trained.end(), true));
    const at::NoGradGuard no_grad;
    const auto total = [&] {
      double sum = 0;
      const Tensors values = one.ours(inputs);
      for (size_t i = 0; i < values.size(); ++i)
        sum += values[i].mul(made_up(values[i].sizes().vec(), 8.0 + static_cast<double>(i), at::kDouble)).sum().item<double>();
      return sum;
    };
    size_t gradient = outputs;
    for (size_t i = 0; i < one.trained.size(); ++i) {
      if (!one.trained[i]) continue;
      const double step = 1e-5;
      const Tensor kept = inputs[i], direction = made_up(kept.sizes().vec(), 21, at::kDouble);
      inputs[i] = kept.add(direction, step);
      const double above = total();
      inputs[i] = kept.sub(direction, step);
      const double difference = (above - total()) / (2 * step), slope = results[gradient++].mul(direction).sum().item<double>();
      inputs[i] = kept;
      EXPECT_NEAR(difference, slope, 1e-5 * std::max(1.0, std::abs(slope))) << "input " << i;
      ++checked;
    }
  }
  EXPECT_GT(checked, 20);
}

TEST(Kernels, SameBitsEachTimeAtAFixedNumberOfThreads) {
  const int before = at::get_num_threads();
  for (const int threads : {1, 2}) {
    at::set_num_threads(threads);
    for (const KernelCase& one : kernel_cases()) {
      if (one.timed) continue;
      SCOPED_TRACE(one.name);
      const Tensors inputs = one.inputs(at::kFloat), first = outputs_and_gradients(one, one.ours, inputs),
                    again = outputs_and_gradients(one, one.ours, inputs);
      for (size_t i = 0; i < first.size(); ++i) EXPECT_TRUE(at::equal(first[i].nan_to_num(), again[i].nan_to_num())) << i;
    }
  }
  at::set_num_threads(before);
}

/// Its sums are taken inside of heads.
TEST(Kernels, AttentionDoesNotDependOnTheNumberOfThreads) {
  const int before = at::get_num_threads();
  for (const KernelCase& one : kernel_cases()) {
    if (one.name.find("attention") == std::string::npos) continue;
    SCOPED_TRACE(one.name);
    const Tensors inputs = one.inputs(at::kFloat);
    at::set_num_threads(1);
    const Tensors alone = outputs_and_gradients(one, one.ours, inputs);
    at::set_num_threads(3);
    const Tensors together = outputs_and_gradients(one, one.ours, inputs);
    for (size_t i = 0; i < alone.size(); ++i) EXPECT_TRUE(at::equal(alone[i], together[i])) << i;
  }
  at::set_num_threads(before);
}

/// By CPU time: the calling thread does about a half.
TEST(Kernels, WorkIsDividedAmongThreads) {
  const auto seconds = [](clockid_t clock) {
    timespec time{};
    clock_gettime(clock, &time);
    return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
  };
  const int before = at::get_num_threads();
  at::set_num_threads(2);
  const at::NoGradGuard no_grad;
  int checked = 0;
  for (const KernelCase& one : kernel_cases()) {
    // Others spend their time in products of ATen's, have no value of their own, or run on one thread.
    if (!one.timed || one.name.starts_with("linear_gelu") || one.name.starts_with("squared error") || one.name.starts_with("normalised")) continue;
    SCOPED_TRACE(one.name);
    const Tensors inputs = one.inputs(at::kFloat);
    one.ours(inputs);
    // The least share of some readings: a machine with other work charges a thread for more than its own. On one thread each share is 1.
    double share = 1;
    for (int reading = 0; reading < 20 && share >= 0.8; ++reading) {
      const double began = seconds(CLOCK_PROCESS_CPUTIME_ID), own_began = seconds(CLOCK_THREAD_CPUTIME_ID);
      while (seconds(CLOCK_PROCESS_CPUTIME_ID) - began < 0.02) one.ours(inputs);
      const double all = seconds(CLOCK_PROCESS_CPUTIME_ID) - began, own = seconds(CLOCK_THREAD_CPUTIME_ID) - own_began;
      share = std::min(share, own / all);
    }
    EXPECT_LT(share, 0.8);
    ++checked;
  }
  at::set_num_threads(before);
  EXPECT_GT(checked, 10);
}

TEST(Kernels, AttentionWithScoresOfAnySize) {
  // Two keys; a query whose scores are far apart, far below zero, or beyond float32's exponential.
  const Tensor value = at::arange(2, at::kFloat).add(1).view({1, 1, 2, 1}), key = at::ones({1, 1, 2, 1});
  key[0][0][1][0] = -1;
  for (const double score : {0.0, 1.0, 30.0, -80.0, 500.0, -1e30}) {
    const Tensor query = at::ones({1, 1, 1, 1}).mul(score);
    const double share = 1 / (1 + std::exp(-2 * score));
    EXPECT_NEAR(kernels::attention(query, key, value, {}).item<double>(), share + 2 * (1 - share), 1e-6) << score;
  }
}

TEST(Kernels, CudaIsThereAfterABackwardPassOnTheCpu) {
  at::ones({2}).requires_grad_(true).sum().backward();
  if (CudaModule::get().devices == nullptr) GTEST_SKIP() << CudaModule::get().missing;
  EXPECT_TRUE(at::detail::getCUDAHooks().hasCUDART()) << "LibTorch asked before the module was open";
}

TEST(Kernels, CudaGivesTheSame) {
  if (const std::string& missing = CudaModule::get().missing; !missing.empty()) GTEST_SKIP() << missing;
  for (const KernelCase& one : kernel_cases()) {
    for (const at::ScalarType type : one.types) {
      SCOPED_TRACE(one.name + ", " + at::toString(type));
      const Tensors inputs = one.inputs(type), there = moved(inputs, at::kCUDA);
      const Tensors ours = outputs_and_gradients(one, one.ours, there), again = outputs_and_gradients(one, one.ours, there);
      expect_close(one, ours, expected_of(one, inputs), limit_of(inputs, type));
      for (size_t i = 0; i < ours.size(); ++i)
        EXPECT_TRUE(one.name.starts_with("linear") || at::equal(ours[i].nan_to_num(), again[i].nan_to_num())) << i;
    }
  }
}

TEST(Kernels, WhatIsNoNumberStaysNone) {
  Tensor x = made_up({4, 40}, 1, at::kFloat);
  x[1][3] = std::numeric_limits<float>::quiet_NaN();
  x[2][3] = std::numeric_limits<float>::infinity();
  const Tensor identity = at::zeros({40, 40}).fill_diagonal_(1), ones = at::zeros({40}).add(1), zeros = at::zeros({40});
  kernels::Stream stream{.x = x, .branch = x, .bias = zeros};
  const Tensor normed = kernels::add_norm(stream, ones, zeros, 1e-6, at::kBFloat16);
  EXPECT_EQ(at::isnan(normed).sum(-1).ne(0).sum().item<int64_t>(), 2) << "rows that are not numbers";
  EXPECT_TRUE(at::isnan(kernels::squared_error(x, x.mul(0.5), 1)).all().item<bool>());
  EXPECT_TRUE(
      at::isnan(kernels::standardised_rows({x.unsqueeze(0)}, at::arange(4, at::kLong).view({1, 4}), 1e-5, false)).select(1, 1).all().item<bool>());
  Tensor qkv = made_up({2, 19, 24}, 2, at::kFloat);
  qkv[1][5][17] = std::numeric_limits<float>::quiet_NaN();  // a value of the second sequence's first head
  const Tensor attended = at::isnan(kernels::self_attention(qkv, 2, {}));
  EXPECT_EQ(attended.sum().item<int64_t>(), 19) << "what is added up with the value";
  qkv[1][5][1] = std::numeric_limits<float>::quiet_NaN();  // a query of the same head
  EXPECT_EQ(at::isnan(kernels::self_attention(qkv, 2, {})).sum().item<int64_t>(), 22);
  qkv[0][5][9] = std::numeric_limits<float>::infinity();  // a key of the first sequence's first head
  EXPECT_TRUE(at::isnan(kernels::self_attention(qkv, 2, {})[0]).any().item<bool>());
  x[2][3] = 30, x[2][4] = -30, x[2][5] = 0;
  const Tensor y = kernels::linear_gelu(x, identity, zeros);
  EXPECT_TRUE(at::isnan(y[1]).any().item<bool>());
  EXPECT_EQ(y[2][3].item<double>(), 30);
  EXPECT_NEAR(y[2][4].item<double>(), 0, 1e-25);
  EXPECT_EQ(y[2][5].item<double>(), 0);
}

TEST(Kernels, WrongArgumentsAreRefused) {
  const Tensor x = made_up({2, 6}, 1, at::kFloat), gains = made_up({6}, 2, at::kFloat);
  const auto norm = [&](kernels::Stream stream, const Tensor& weight, at::ScalarType type) { kernels::add_norm(stream, weight, weight, 1e-6, type); };
  EXPECT_NO_THROW(norm({.x = x}, gains, at::kFloat));
  EXPECT_THROW(norm({.x = x}, made_up({5}, 2, at::kFloat), at::kFloat), std::invalid_argument);
  EXPECT_THROW(norm({.x = x, .branch = gains}, gains, at::kFloat), std::invalid_argument);
  EXPECT_THROW(norm({.x = x}, gains, at::kDouble), std::invalid_argument);
  EXPECT_THROW(norm({.x = x.to(at::kHalf)}, gains, at::kHalf), std::invalid_argument);
  EXPECT_THROW(kernels::squared_error(x, gains, 1), std::invalid_argument);
  EXPECT_THROW(kernels::squared_error(x, x, 4), std::invalid_argument);
  EXPECT_THROW(kernels::patch_rows(made_up({1, 3, 6, 8}, 1, at::kFloat), 2, {}), std::invalid_argument);
  EXPECT_THROW(kernels::patch_rows(made_up({1, 3, 6, 6}, 1, at::kFloat), 4, {}), std::invalid_argument);
  const Tensor four = made_up({1, 2, 3, 4}, 1, at::kFloat), five = made_up({1, 2, 3, 5}, 1, at::kFloat);
  EXPECT_THROW(kernels::attention(four, five, five, {}), std::invalid_argument);
  EXPECT_THROW(kernels::attention(four, four, five, {}), std::invalid_argument);
  EXPECT_THROW(kernels::standardised_rows({}, {}, 1e-5, false), std::invalid_argument);
}

}  // namespace
}  // namespace flowrun
