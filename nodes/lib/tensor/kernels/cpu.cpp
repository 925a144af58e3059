#include "nodes/lib/tensor/kernels/cpu.h"

#include <ATen/Parallel.h>
#include <algorithm>
#include <cstring>
#include <memory>
#include <vector>

#include "nodes/lib/tensor/device/normalise.h"

namespace flowrun::kernels {

namespace {

const Loops& loops() {
#if defined(__x86_64__)
  static const Loops& chosen = __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl")
                                   ? avx512::loops
                               : __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") ? avx2::loops
                                                                                                 : plain::loops;
  return chosen;
#else
  return plain::loops;
#endif
}

/// The fewest rows or elements that are worth a thread.
int64_t grain(int64_t per_row) { return std::max<int64_t>(1, 32768 / std::max<int64_t>(1, per_row)); }

/// Calls loop(begin, end, sums, scratch) on ranges of rows, one for each thread, and writes the totals of their sums,
/// [columns].
template <class Loop>
void over_rows_summing(int64_t rows, int64_t columns, int64_t per_row, const Loop& loop, std::vector<double>& sums) {
  const int64_t ranges = std::clamp<int64_t>(rows / grain(per_row), 1, at::get_num_threads()), length = (rows + ranges - 1) / ranges;
  sums.assign(static_cast<size_t>(ranges * columns), 0);
  at::parallel_for(0, ranges, 1, [&](int64_t begin, int64_t end) {
    std::vector<double> scratch(static_cast<size_t>(columns));  // room for either accumulation type
    for (int64_t i = begin; i < end; ++i)
      loop(std::min(rows, i * length), std::min(rows, (i + 1) * length), sums.data() + i * columns, scratch.data());
  });
  for (int64_t i = 1; i < ranges; ++i) {
    for (int64_t c = 0; c < columns; ++c) sums[static_cast<size_t>(c)] += sums[static_cast<size_t>(i * columns + c)];
  }
}

/// Doubles to the accumulation type.
void write(const double* from, int64_t count, Type type, void* to) {
  if (to == nullptr) return;
  if (type == Type::f64) return void(std::copy(from, from + count, static_cast<double*>(to)));
  std::transform(from, from + count, static_cast<float*>(to), [](double x) { return static_cast<float>(x); });
}

void target_rows(const TargetRows& a) {
  at::parallel_for(0, a.images * a.rows, grain(a.width), [&](int64_t begin, int64_t end) { loops().target_rows(a, begin, end); });
}

size_t bytes_of(Type type) { return type == Type::f32 ? 4 : type == Type::bf16 ? 2 : 8; }

/// Lines of a patch are copied as they are.
void patch_rows(const PatchRows& a) {
  const size_t bytes = bytes_of(a.type), line = static_cast<size_t>(a.patch) * bytes;
  const int64_t side = a.grid * a.patch;
  at::parallel_for(0, a.images * a.rows, grain(a.channels * a.patch * a.patch), [&](int64_t begin, int64_t end) {
    auto* to = static_cast<char*>(a.out) + begin * a.channels * a.patch * static_cast<int64_t>(line);
    for (int64_t row = begin; row < end; ++row) {
      const int64_t image = row / a.rows, place = a.index ? a.index[row] : row % a.rows;
      for (int64_t channel = 0; channel < a.channels; ++channel) {
        const int64_t corner = ((image * a.channels + channel) * side + place / a.grid * a.patch) * side + place % a.grid * a.patch;
        const auto* from = static_cast<const char*>(a.pixels) + corner * static_cast<int64_t>(bytes);
        for (int64_t y = 0; y < a.patch; ++y, from += static_cast<size_t>(side) * bytes, to += line) std::memcpy(to, from, line);
      }
    }
  });
}

/// On one thread: OpenMP's threads spin for a while after their work, on cores that data threads want, and this work is short.
void normalise_bytes(const NormaliseBytes& a) {
  for (int64_t i = 0; i < a.images; ++i) normalise(a.in + i * a.pixels * 3, a.pixels, a.scale, a.shift, a.out + i * a.pixels * 3);
}

void squared_error(const SquaredError& a) {
  std::vector<double> sums;
  over_rows_summing(
      a.rows, a.parts, a.parts * a.width, [&](int64_t begin, int64_t end, double* to, void*) { loops().squared_error(a, begin, end, to); }, sums);
  std::copy(sums.begin(), sums.begin() + a.parts, a.sums);
}

void squared_error_gradient(const SquaredErrorGradient& a) {
  at::parallel_for(0, a.count, grain(1), [&](int64_t begin, int64_t end) { loops().squared_error_gradient(a, begin, end); });
}

void add_norm(const AddNorm& a) {
  at::parallel_for(0, a.rows, grain(a.width), [&](int64_t begin, int64_t end) { loops().add_norm(a, begin, end); });
}

void add_norm_backward(const AddNormBackward& a) {
  std::vector<double> sums;
  over_rows_summing(
      a.rows, 3 * a.width, a.width,
      [&](int64_t begin, int64_t end, double* to, void* scratch) { loops().add_norm_backward(a, begin, end, to, scratch); }, sums);
  write(sums.data(), a.width, a.stream, a.weight_gradient);
  write(sums.data() + a.width, a.width, a.stream, a.shift_gradient);
  write(sums.data() + 2 * a.width, a.width, a.stream, a.bias_gradient);
}

void bias_gelu(const BiasGelu& a) {
  at::parallel_for(0, a.rows, grain(a.width), [&](int64_t begin, int64_t end) { loops().bias_gelu(a, begin, end); });
}

void bias_gelu_backward(const BiasGeluBackward& a) {
  std::vector<double> sums;
  over_rows_summing(
      a.rows, a.width, a.width,
      [&](int64_t begin, int64_t end, double* to, void* scratch) { loops().bias_gelu_backward(a, begin, end, to, scratch); }, sums);
  write(sums.data(), a.width, a.type, a.bias_gradient);
}

/// Calls loop(begin, end, scratch) on ranges of heads.
template <class Loop>
void over_heads(const Attention& a, bool backward, const Loop& loop) {
  const auto bytes = static_cast<size_t>(loops().attention_scratch(a, backward));
  at::parallel_for(0, a.sequences * a.heads, grain(a.queries * a.keys), [&](int64_t begin, int64_t end) {
    const std::unique_ptr<char[]> scratch(new char[bytes]);  // not filled
    loop(begin, end, scratch.get());
  });
}

void attention(const Attention& a) {
  over_heads(a, false, [&](int64_t begin, int64_t end, void* scratch) { loops().attention(a, begin, end, scratch); });
}

void attention_backward(const AttentionBackward& b) {
  over_heads(b.forward, true, [&](int64_t begin, int64_t end, void* scratch) { loops().attention_backward(b, begin, end, scratch); });
}

}  // namespace

const Backend& cpu_backend() {
  static const Backend backend = {target_rows,       patch_rows, normalise_bytes,    squared_error, squared_error_gradient, add_norm,
                                  add_norm_backward, bias_gelu,  bias_gelu_backward, attention,     attention_backward};
  return backend;
}

}  // namespace flowrun::kernels
