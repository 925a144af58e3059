// The kernels on the CPU: loops in the widest vectors that the processor has, over the threads of LibTorch.
#pragma once

#include "nodes/lib/tensor/kernels/backend.h"

namespace flowrun::kernels {

/// Sums over rows are taken per thread, then added up in the threads' order: they depend only on the number of threads.
const Backend& cpu_backend();
/// Replaces the CPU's backend; null: no replacement. For tests that record the calls; set before anything runs.
inline const Backend* instead_of_cpu_backend = nullptr;

/// Loops over rows [begin, end); of attention over heads of all sequences, with `scratch` for one head (attention_scratch). `sums` and `scratch` [n,
/// width]: what backward passes add up over rows, in double, and memory for it.
struct Loops {
  void (*target_rows)(const TargetRows&, int64_t begin, int64_t end);  ///< rows of all images
  void (*squared_error)(const SquaredError&, int64_t begin, int64_t end, double* sums);
  void (*squared_error_gradient)(const SquaredErrorGradient&, int64_t begin, int64_t end);  ///< elements
  void (*add_norm)(const AddNorm&, int64_t begin, int64_t end);
  void (*add_norm_backward)(const AddNormBackward&, int64_t begin, int64_t end, double* sums, void* scratch);  ///< n = 3
  void (*bias_gelu)(const BiasGelu&, int64_t begin, int64_t end);
  void (*bias_gelu_backward)(const BiasGeluBackward&, int64_t begin, int64_t end, double* sums, void* scratch);  ///< n = 1
  int64_t (*attention_scratch)(const Attention&, bool backward);                                                 ///< bytes
  void (*attention)(const Attention&, int64_t begin, int64_t end, void* scratch);
  void (*attention_backward)(const AttentionBackward&, int64_t begin, int64_t end, void* scratch);
};

namespace avx512 {
extern const Loops loops;
}
namespace avx2 {
extern const Loops loops;
}
namespace plain {
extern const Loops loops;
}

}  // namespace flowrun::kernels
