// The functions that a device must implement for nodes/lib/tensor/kernels/kernels.h: plain memory in, plain memory out. C++17 and
// free of LibTorch, because nvcc reads it too.
//
// All arrays are dense, row after row, unless a stride is named; sizes and strides count elements. Sums and statistics are
// taken in the accumulation type: double for f64, else float. No call with zero rows.
#pragma once

#include <cstdint>

namespace flowrun::kernels {

enum class Type : int { f32, bf16, f64 };

/// Rows of one tap, each standardised: out[b, j] = (x - mean) / sqrt(var + eps) of x = tap[b, index[b, j]].
struct TargetRows {
  const void* tap;  ///< [images, .., width], rows of a longer sequence
  Type type;
  int64_t image_stride, row_stride;
  const int64_t* index;  ///< [images, rows]
  int64_t images, rows, width;
  void* out;  ///< accumulation type; a row begins every out_stride elements
  int64_t out_stride;
  double eps;
  bool unbiased;  ///< variance over width - 1
};

/// Pixels of patches: images [images, channels, grid patch, grid patch] -> out [images, rows, channels patch patch].
struct PatchRows {
  const void* pixels;
  Type type;
  int64_t images, channels, grid, patch;
  const int64_t* index;  ///< [images, rows]; null: all patches in their order
  int64_t rows;
  void* out;  ///< as `type`
};

/// Bytes [images, pixels, 3] to floats [images, 3, pixels]: in * scale + shift, product and sum rounded one by one.
struct NormaliseBytes {
  const uint8_t* in;
  int64_t images, pixels;
  float scale[3], shift[3];
  float* out;
};

/// Squared differences, added up for each slice of the last axis.
struct SquaredError {
  const void* prediction;  ///< [rows, parts width]
  Type type;
  const void* target;  ///< accumulation type
  int64_t rows, parts, width;
  double* sums;  ///< [parts]
};

/// out = factor (prediction - target) gradient
struct SquaredErrorGradient {
  const void* prediction;
  Type type;
  const void* target;    ///< accumulation type
  const void* gradient;  ///< one number, accumulation type
  double factor;
  int64_t count;
  void* out;  ///< as prediction
};

/// sum = x + branch + bias; out = weight (sum - mean) / sqrt(var + eps) + shift. Without a branch x is normed.
struct AddNorm {
  const void *x, *branch, *bias;  ///< [rows, width] twice, [width]; branch and bias may be null
  const void *weight, *shift;     ///< [width]; these and the bias in the accumulation type
  int64_t rows, width;
  double eps;
  Type stream, branch_type, out_type;  ///< of x and sum; of the branch; of out
  void* sum;                           ///< may be the branch's memory, where the types are one; null without a branch
  void* out;
  void *mean, *rstd;  ///< [rows], accumulation type
};

/// The backward pass; results that are null are not computed.
struct AddNormBackward {
  const void *sum, *mean, *rstd, *weight;  ///< of the forward pass
  const void* out_gradient;                ///< out_type
  const void* sum_gradient;                ///< stream; null: zero
  int64_t rows, width;
  Type stream, branch_type, out_type;
  void* gradient;                                          ///< of sum, and so of x: stream
  void* branch_gradient;                                   ///< the same in the branch's type
  void *weight_gradient, *shift_gradient, *bias_gradient;  ///< [width], accumulation type
};

/// out = gelu(x + bias), exact; slope = its derivative. `out` or `slope` may be x's memory.
struct BiasGelu {
  const void *x, *bias;  ///< [rows, width]; [width], accumulation type
  Type type;
  int64_t rows, width;
  void *out, *slope;  ///< as x; slope may be null
};

/// x_gradient = gradient slope, and its sum over rows.
struct BiasGeluBackward {
  const void *gradient, *slope;  ///< as type
  Type type;
  int64_t rows, width;
  void* x_gradient;     ///< as type
  void* bias_gradient;  ///< [width], accumulation type; may be null
};

/// Rows of heads: element e of row r of head h of sequence s is at[s sequence + h head + r row + e].
struct HeadRows {
  const void* at;
  int64_t sequence, head, row;
};
struct WrittenHeadRows {
  void* at;
  int64_t sequence, head, row;
};

/// out = softmax(scale query key^T) value, head by head.
struct Attention {
  HeadRows query, key, value;  ///< `queries`, `keys` and `keys` rows of `width`
  Type type;                   ///< f32 or f64, of all arrays
  int64_t sequences, heads, queries, keys, width;
  double scale;
  WrittenHeadRows out;  ///< `queries` rows
  void* statistics;     ///< [sequences, heads, 2, queries]: of each row of scores the largest, and one over the sum of e^(score - largest)
};

struct AttentionBackward {
  Attention forward;                  ///< `out` is not read, `statistics` are
  HeadRows out_gradient;              ///< as `out`
  WrittenHeadRows query, key, value;  ///< gradients, as the forward pass's
};

/// On CUDA they run on the current CUDA stream of the current device, and throw c10's exceptions. Thread-safe.
struct Backend {
  void (*target_rows)(const TargetRows&);
  void (*patch_rows)(const PatchRows&);
  void (*normalise)(const NormaliseBytes&);
  void (*squared_error)(const SquaredError&);
  void (*squared_error_gradient)(const SquaredErrorGradient&);
  void (*add_norm)(const AddNorm&);
  void (*add_norm_backward)(const AddNormBackward&);
  void (*bias_gelu)(const BiasGelu&);
  void (*bias_gelu_backward)(const BiasGeluBackward&);
  void (*attention)(const Attention&);                   ///< null: ATen's is better
  void (*attention_backward)(const AttentionBackward&);  ///< as `attention`
};

}  // namespace flowrun::kernels
