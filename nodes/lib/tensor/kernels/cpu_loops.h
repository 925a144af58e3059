// The loops of the CPU's kernels. Compiled once per instruction set (cpu_*.cpp), with FLOWRUN_ISA naming it. Nothing of
// the standard library's is used that could be emitted as a function of its own: the linker keeps one copy of such a
// function for the whole program, which then might be one that this processor doesn't know.
#pragma once

#include "nodes/lib/tensor/kernels/cpu.h"
#include "nodes/lib/tensor/kernels/cpu_attention.h"
#include "nodes/lib/tensor/kernels/cpu_numbers.h"

namespace flowrun::kernels {

// NOLINTBEGIN(misc-definitions-in-headers): each file that includes this gives it a namespace of its own
namespace FLOWRUN_ISA {
namespace {

/// Rows between two transfers from the accumulation type to double.
constexpr int64_t kBlock = 64;

/// Mean, and one over the standard deviation, of x[0 .. width).
template <class T, class A>
inline void statistics(const T* x, int64_t width, int64_t over, double eps, A& mean, A& rstd) {
  A sum = 0, squares = 0;
  for (int64_t d = 0; d < width; ++d) sum += load(x, d);
  mean = sum / static_cast<A>(width);
  for (int64_t d = 0; d < width; ++d) {
    const A centred = load(x, d) - mean;
    squares += centred * centred;
  }
  rstd = 1 / root(squares / static_cast<A>(over) + static_cast<A>(eps));
}

template <class T>
void target_rows_of(const TargetRows& a, int64_t begin, int64_t end) {
  using A = Accumulation<T>;
  for (int64_t row = begin; row < end; ++row) {
    const T* x = static_cast<const T*>(a.tap) + row / a.rows * a.image_stride + a.index[row] * a.row_stride;
    A* out = static_cast<A*>(a.out) + row * a.out_stride;
    A mean, rstd;
    statistics(x, a.width, a.unbiased ? a.width - 1 : a.width, a.eps, mean, rstd);
    for (int64_t d = 0; d < a.width; ++d) out[d] = (load(x, d) - mean) * rstd;
  }
}

template <class T>
void squared_error_of(const SquaredError& a, int64_t begin, int64_t end, double* sums) {
  using A = Accumulation<T>;
  for (int64_t row = begin; row < end; ++row) {
    for (int64_t part = 0; part < a.parts; ++part) {
      const int64_t first = (row * a.parts + part) * a.width;
      const T* p = static_cast<const T*>(a.prediction) + first;
      const A* t = static_cast<const A*>(a.target) + first;
      A sum = 0;
      for (int64_t d = 0; d < a.width; ++d) {
        const A difference = load(p, d) - t[d];
        sum += difference * difference;
      }
      sums[part] += static_cast<double>(sum);
    }
  }
}

template <class T>
void squared_error_gradient_of(const SquaredErrorGradient& a, int64_t begin, int64_t end) {
  using A = Accumulation<T>;
  const T* p = static_cast<const T*>(a.prediction);
  const A* t = static_cast<const A*>(a.target);
  T* out = static_cast<T*>(a.out);
  const A factor = static_cast<A>(a.factor) * *static_cast<const A*>(a.gradient);
#pragma GCC ivdep
  for (int64_t i = begin; i < end; ++i) store(out, i, (load(p, i) - t[i]) * factor);
}

template <class S, class B, class N>
void add_norm_of(const AddNorm& a, int64_t begin, int64_t end) {
  using A = Accumulation<S>;
  const A *weight = static_cast<const A*>(a.weight), *shift = static_cast<const A*>(a.shift), *bias = static_cast<const A*>(a.bias);
  for (int64_t row = begin; row < end; ++row) {
    const S* x = static_cast<const S*>(a.x) + row * a.width;
    N* out = static_cast<N*>(a.out) + row * a.width;
    if (a.branch != nullptr) {
      const B* branch = static_cast<const B*>(a.branch) + row * a.width;
      S* sum = static_cast<S*>(a.sum) + row * a.width;
      if (bias != nullptr) {
#pragma GCC ivdep
        for (int64_t d = 0; d < a.width; ++d) store(sum, d, load(x, d) + (load(branch, d) + bias[d]));
      } else {
#pragma GCC ivdep
        for (int64_t d = 0; d < a.width; ++d) store(sum, d, load(x, d) + load(branch, d));
      }
      x = sum;
    }
    A mean, rstd;
    statistics(x, a.width, a.width, a.eps, mean, rstd);
    static_cast<A*>(a.mean)[row] = mean, static_cast<A*>(a.rstd)[row] = rstd;
#pragma GCC ivdep
    for (int64_t d = 0; d < a.width; ++d) store(out, d, (load(x, d) - mean) * rstd * weight[d] + shift[d]);
  }
}

/// For the norm y = weight n + shift, n = (x - mean) rstd, with g the gradient of y: dx = rstd (weight g - mean(weight
/// g) - n mean(weight g n)), dweight = sum g n, dshift = sum g.
template <class S, class B, class N>
void add_norm_backward_of(const AddNormBackward& a, int64_t begin, int64_t end, double* sums, void* scratch) {
  using A = Accumulation<S>;
  const int64_t width = a.width;
  const A* weight = static_cast<const A*>(a.weight);
  A *of_weight = static_cast<A*>(scratch), *of_shift = of_weight + width, *of_bias = of_shift + width;
  for (int64_t first = begin; first < end; first += kBlock) {
    const int64_t last = first + kBlock < end ? first + kBlock : end;
    for (int64_t d = 0; d < 3 * width; ++d) of_weight[d] = 0;
    for (int64_t row = first; row < last; ++row) {
      const S* x = static_cast<const S*>(a.sum) + row * width;
      const N* g = static_cast<const N*>(a.out_gradient) + row * width;
      S* out = static_cast<S*>(a.gradient) + row * width;
      const A mean = static_cast<const A*>(a.mean)[row], rstd = static_cast<const A*>(a.rstd)[row];
      A sum = 0, dot = 0;
#pragma GCC ivdep
      for (int64_t d = 0; d < width; ++d) {
        const A gradient = load(g, d), n = (load(x, d) - mean) * rstd, weighted = gradient * weight[d];
        sum += weighted, dot += weighted * n;
        of_weight[d] += gradient * n, of_shift[d] += gradient;
      }
      sum /= static_cast<A>(width), dot /= static_cast<A>(width);
      if (a.sum_gradient != nullptr) {
        const S* direct = static_cast<const S*>(a.sum_gradient) + row * width;
#pragma GCC ivdep
        for (int64_t d = 0; d < width; ++d) {
          const A n = (load(x, d) - mean) * rstd;
          store(out, d, load(direct, d) + (load(g, d) * weight[d] - sum - n * dot) * rstd);
        }
      } else {
#pragma GCC ivdep
        for (int64_t d = 0; d < width; ++d) {
          const A n = (load(x, d) - mean) * rstd;
          store(out, d, (load(g, d) * weight[d] - sum - n * dot) * rstd);
        }
      }
      if (a.bias_gradient != nullptr) {
#pragma GCC ivdep
        for (int64_t d = 0; d < width; ++d) of_bias[d] += load(out, d);
      }
      if (a.branch_gradient != nullptr) {
        B* branch = static_cast<B*>(a.branch_gradient) + row * width;
#pragma GCC ivdep
        for (int64_t d = 0; d < width; ++d) store(branch, d, load(out, d));
      }
    }
    for (int64_t d = 0; d < 3 * width; ++d) sums[d] += static_cast<double>(of_weight[d]);
  }
}

template <class T>
void bias_gelu_of(const BiasGelu& a, int64_t begin, int64_t end) {
  using A = Accumulation<T>;
  const A* bias = static_cast<const A*>(a.bias);
  for (int64_t row = begin; row < end; ++row) {
    const T* x = static_cast<const T*>(a.x) + row * a.width;
    T* out = static_cast<T*>(a.out) + row * a.width;
    if (a.slope != nullptr) {
      T* slope = static_cast<T*>(a.slope) + row * a.width;
#pragma GCC ivdep
      for (int64_t d = 0; d < a.width; ++d) {
        const A v = load(x, d) + bias[d];
        A distribution, density;
        normal(v, distribution, density);
        store(out, d, v * distribution);
        store(slope, d, distribution + v * density);
      }
    } else {
#pragma GCC ivdep
      for (int64_t d = 0; d < a.width; ++d) {
        const A v = load(x, d) + bias[d];
        A distribution, density;
        normal(v, distribution, density);
        store(out, d, v * distribution);
      }
    }
  }
}

template <class T>
void bias_gelu_backward_of(const BiasGeluBackward& a, int64_t begin, int64_t end, double* sums, void* scratch) {
  using A = Accumulation<T>;
  A* of_bias = static_cast<A*>(scratch);
  for (int64_t first = begin; first < end; first += kBlock) {
    const int64_t last = first + kBlock < end ? first + kBlock : end;
    for (int64_t d = 0; d < a.width; ++d) of_bias[d] = 0;
    for (int64_t row = first; row < last; ++row) {
      const T *gradient = static_cast<const T*>(a.gradient) + row * a.width, *slope = static_cast<const T*>(a.slope) + row * a.width;
      T* out = static_cast<T*>(a.x_gradient) + row * a.width;
#pragma GCC ivdep
      for (int64_t d = 0; d < a.width; ++d) {
        const A product = load(gradient, d) * load(slope, d);
        store(out, d, product);
        of_bias[d] += product;
      }
    }
    for (int64_t d = 0; d < a.width; ++d) sums[d] += static_cast<double>(of_bias[d]);
  }
}

template <class T>
struct Tag {
  using type = T;
};

template <class Call>
void by_type(Type type, Call call) {
  if (type == Type::f32) return call(Tag<float>());
  if (type == Type::bf16) return call(Tag<Bf16>());
  call(Tag<double>());
}

/// The stream may be wider than branch and output.
template <class Call>
void by_types(Type stream, Type branch, Type out, Call call) {
  const bool narrow = branch == Type::bf16, narrow_out = out == Type::bf16;
  if (stream == Type::f64) return call(Tag<double>(), Tag<double>(), Tag<double>());
  if (stream == Type::bf16) return call(Tag<Bf16>(), Tag<Bf16>(), Tag<Bf16>());
  if (narrow && narrow_out) return call(Tag<float>(), Tag<Bf16>(), Tag<Bf16>());
  if (narrow) return call(Tag<float>(), Tag<Bf16>(), Tag<float>());
  if (narrow_out) return call(Tag<float>(), Tag<float>(), Tag<Bf16>());
  call(Tag<float>(), Tag<float>(), Tag<float>());
}

void target_rows(const TargetRows& a, int64_t begin, int64_t end) {
  by_type(a.type, [&](auto t) { target_rows_of<typename decltype(t)::type>(a, begin, end); });
}

void squared_error(const SquaredError& a, int64_t begin, int64_t end, double* sums) {
  by_type(a.type, [&](auto t) { squared_error_of<typename decltype(t)::type>(a, begin, end, sums); });
}

void squared_error_gradient(const SquaredErrorGradient& a, int64_t begin, int64_t end) {
  by_type(a.type, [&](auto t) { squared_error_gradient_of<typename decltype(t)::type>(a, begin, end); });
}

void add_norm(const AddNorm& a, int64_t begin, int64_t end) {
  by_types(a.stream, a.branch_type, a.out_type, [&](auto s, auto b, auto n) {
    add_norm_of<typename decltype(s)::type, typename decltype(b)::type, typename decltype(n)::type>(a, begin, end);
  });
}

void add_norm_backward(const AddNormBackward& a, int64_t begin, int64_t end, double* sums, void* scratch) {
  by_types(a.stream, a.branch_type, a.out_type, [&](auto s, auto b, auto n) {
    add_norm_backward_of<typename decltype(s)::type, typename decltype(b)::type, typename decltype(n)::type>(a, begin, end, sums, scratch);
  });
}

void bias_gelu(const BiasGelu& a, int64_t begin, int64_t end) {
  by_type(a.type, [&](auto t) { bias_gelu_of<typename decltype(t)::type>(a, begin, end); });
}

void bias_gelu_backward(const BiasGeluBackward& a, int64_t begin, int64_t end, double* sums, void* scratch) {
  by_type(a.type, [&](auto t) { bias_gelu_backward_of<typename decltype(t)::type>(a, begin, end, sums, scratch); });
}

int64_t attention_scratch(const Attention& a, bool backward) {
  return a.type == Type::f64 ? scratch_of<double>(a, backward) : scratch_of<float>(a, backward);
}

void attention(const Attention& a, int64_t begin, int64_t end, void* scratch) {
  a.type == Type::f64 ? attention_of<double>(a, begin, end, scratch) : attention_of<float>(a, begin, end, scratch);
}

void attention_backward(const AttentionBackward& b, int64_t begin, int64_t end, void* scratch) {
  b.forward.type == Type::f64 ? attention_backward_of<double>(b, begin, end, scratch) : attention_backward_of<float>(b, begin, end, scratch);
}

}  // namespace

extern const Loops loops = {target_rows, squared_error,      squared_error_gradient, add_norm,  add_norm_backward,
                            bias_gelu,   bias_gelu_backward, attention_scratch,      attention, attention_backward};

}  // namespace FLOWRUN_ISA
// NOLINTEND(misc-definitions-in-headers)
}  // namespace flowrun::kernels
