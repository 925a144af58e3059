// The list of cases for tests and timings of nodes/lib/tensor/kernels: each kernel beside the ATen composition that it replaces.
#pragma once

#include <ATen/core/Tensor.h>
#include <functional>
#include <string>
#include <vector>

namespace flowrun::test {

struct KernelCase {
  using Tensors = std::vector<at::Tensor>;
  using Run = std::function<Tensors(const Tensors&)>;

  std::string name;  ///< kernel, then sizes
  std::vector<at::ScalarType> types;
  std::function<Tensors(at::ScalarType)> inputs;  ///< on the host, equal at each call
  std::vector<bool> trained;                      ///< of inputs: whether they get a gradient
  Run ours, aten;
  bool timed = false;  ///< by tests/perf/kernels
  bool exact = false;  ///< what float32 is compared with is taken in float64
  bool values = true;  ///< false: the outputs differ on purpose, the gradients don't
};

const std::vector<KernelCase>& kernel_cases();

/// Runs one side, and its backward pass from `gradients` of the outputs if inputs are trained. Outputs, then the gradients
/// of the trained inputs.
KernelCase::Tensors outputs_and_gradients(const KernelCase& one, const KernelCase::Run& run, const KernelCase::Tensors& inputs,
                                          const KernelCase::Tensors& gradients);
/// The same from made-up gradients.
KernelCase::Tensors outputs_and_gradients(const KernelCase& one, const KernelCase::Run& run, const KernelCase::Tensors& inputs);
KernelCase::Tensors made_up_gradients(const KernelCase::Tensors& outputs);

/// Numbers in (-1, 1) that are a function of place and seed.
at::Tensor made_up(std::vector<int64_t> shape, double seed, at::ScalarType type);

}  // namespace flowrun::test
