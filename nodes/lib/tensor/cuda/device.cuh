// Shared by the kernels: types, vectors of four elements, sums over a warp and over partial sums of blocks.
//
// A lane of a warp takes VEC elements at a time: four where width and addresses allow it, else one. Nothing is __restrict__:
// some kernels read what the same thread has just written, and some write over what they read.
#pragma once

#include <cuda_bf16.h>
#include <cuda_runtime.h>

#include "nodes/lib/tensor/kernels/backend.h"

namespace flowrun::kernels::cuda {

using Bf16 = __nv_bfloat16;

template <class T>
struct AccumulationOf {
  using type = float;
};
template <>
struct AccumulationOf<double> {
  using type = double;
};
template <class T>
using Accumulation = typename AccumulationOf<T>::type;

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

__device__ inline float widen(float x) { return x; }
__device__ inline double widen(double x) { return x; }
__device__ inline float widen(Bf16 x) { return __bfloat162float(x); }

template <class T>
__device__ inline T narrow_to(Accumulation<T> x) {
  if constexpr (sizeof(T) == 2) {
    return __float2bfloat16_rn(x);
  } else {
    return x;
  }
}

template <class T, int VEC>
struct alignas(sizeof(T) * VEC) Vector {
  T at[VEC];
};

template <int VEC, class T>
__device__ inline void load(const T* from, Accumulation<T> (&to)[VEC]) {
  const Vector<T, VEC> x = *reinterpret_cast<const Vector<T, VEC>*>(from);
#pragma unroll
  for (int i = 0; i < VEC; ++i) to[i] = widen(x.at[i]);
}

template <int VEC, class T>
__device__ inline void store(T* to, const Accumulation<T> (&from)[VEC]) {
  Vector<T, VEC> x;
#pragma unroll
  for (int i = 0; i < VEC; ++i) x.at[i] = narrow_to<T>(from[i]);
  *reinterpret_cast<Vector<T, VEC>*>(to) = x;
}

/// Whether vectors of four elements of `size` bytes may be loaded from here. Null is fine: it is not loaded from.
inline bool aligned(const void* pointer, size_t size) { return reinterpret_cast<uintptr_t>(pointer) % (4 * size) == 0; }

inline size_t size_of(Type type) { return type == Type::f32 ? 4 : type == Type::bf16 ? 2 : 8; }
/// An array of the accumulation type.
inline size_t wide_size(Type type) { return type == Type::f64 ? 8 : 4; }

/// The sum over the warp's lanes, in all of them.
template <class A>
__device__ inline A warp_sum(A x) {
#pragma unroll
  for (int offset = 16; offset > 0; offset /= 2) x += __shfl_xor_sync(0xffffffffu, x, offset);
  return x;
}

constexpr int64_t kMaxGridX = 2147483647, kMaxGridY = 65535;

inline int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }
inline int64_t at_most(int64_t x, int64_t limit) { return x < limit ? x : limit; }

inline int64_t processors() {
  int device = 0, count = 0;
  if (cudaGetDevice(&device) != cudaSuccess) return 1;
  if (cudaDeviceGetAttribute(&count, cudaDevAttrMultiProcessorCount, device) != cudaSuccess) return 1;
  return count > 0 ? count : 1;
}

/// Destinations for the sums of columns [0, width), [width, 2 width), [2 width, 3 width); null: not stored.
template <class Out>
struct Columns {
  Out* to[3];
  int64_t width;
};

constexpr int kColumnRows = 16;  // of a block of column_sums

/// Adds up partial [partials, columns], in an order that depends on the numbers of both alone.
template <class From, class Out>
__global__ void column_sums(const From* partial, int64_t partials, int64_t columns, Columns<Out> out) {
  __shared__ double sums[kColumnRows][33];
  const int64_t column = static_cast<int64_t>(blockIdx.x) * 32 + threadIdx.x;
  double sum = 0;
  if (column < columns) {
    for (int64_t p = threadIdx.y; p < partials; p += kColumnRows) sum += static_cast<double>(partial[p * columns + column]);
  }
  sums[threadIdx.y][threadIdx.x] = sum;
  __syncthreads();
  if (threadIdx.y != 0 || column >= columns) return;
  for (int i = 1; i < kColumnRows; ++i) sum += sums[i][threadIdx.x];
  Out* to = out.to[column / out.width];
  if (to != nullptr) to[column % out.width] = static_cast<Out>(sum);
}

template <class From, class Out>
void add_columns(const From* partial, int64_t partials, int64_t columns, const Columns<Out>& out, cudaStream_t stream) {
  column_sums<From, Out><<<static_cast<unsigned>(ceil_div(columns, 32)), dim3(32, kColumnRows), 0, stream>>>(partial, partials, columns, out);
}

}  // namespace flowrun::kernels::cuda
