// Element by element: bias and GELU, the squared error and its gradient, bytes to floats, pixels of patches.
#include "nodes/lib/tensor/cuda/device.cuh"
#include "nodes/lib/tensor/cuda/launch.h"

namespace flowrun::kernels::cuda {
namespace {

constexpr int kRows = 8;       // rows of threads in a block that is 32 wide
constexpr int kThreads = 256;  // of a block without rows

// Bias and GELU. A thread stays in its columns and goes down the rows.

__device__ inline float distribution(float x) { return 0.5f * erfcf(-x * 0.70710678f); }
__device__ inline double distribution(double x) { return 0.5 * erfc(-x * 0.70710678118654752440); }
__device__ inline float density(float x) { return 0.39894228f * expf(-0.5f * x * x); }
__device__ inline double density(double x) { return 0.39894228040143267794 * exp(-0.5 * x * x); }

template <class T, int VEC>
__global__ void bias_gelu(BiasGelu a) {
  using A = Accumulation<T>;
  const int64_t column = (static_cast<int64_t>(blockIdx.x) * 32 + threadIdx.x) * VEC;
  if (column >= a.width) return;
  A bias[VEC], values[VEC], slopes[VEC];
  load<VEC>(static_cast<const A*>(a.bias) + column, bias);
  const int64_t stride = static_cast<int64_t>(gridDim.y) * kRows;
  for (int64_t row = static_cast<int64_t>(blockIdx.y) * kRows + threadIdx.y; row < a.rows; row += stride) {
    const int64_t place = row * a.width + column;
    load<VEC>(static_cast<const T*>(a.x) + place, values);
#pragma unroll
    for (int i = 0; i < VEC; ++i) {
      const A x = values[i] + bias[i], below = distribution(x);
      values[i] = x * below;
      slopes[i] = below + x * density(x);
    }
    store<VEC>(static_cast<T*>(a.out) + place, values);
    if (a.slope != nullptr) store<VEC>(static_cast<T*>(a.slope) + place, slopes);
  }
}

template <class T, int VEC>
__global__ void bias_gelu_backward(BiasGeluBackward a, Accumulation<T>* partial) {
  using A = Accumulation<T>;
  __shared__ A sums[kRows][32 * VEC];
  const int64_t column = (static_cast<int64_t>(blockIdx.x) * 32 + threadIdx.x) * VEC;
  A total[VEC] = {};
  if (column < a.width) {
    A gradients[VEC], slopes[VEC];
    const int64_t stride = static_cast<int64_t>(gridDim.y) * kRows;
    for (int64_t row = static_cast<int64_t>(blockIdx.y) * kRows + threadIdx.y; row < a.rows; row += stride) {
      const int64_t place = row * a.width + column;
      load<VEC>(static_cast<const T*>(a.gradient) + place, gradients);
      load<VEC>(static_cast<const T*>(a.slope) + place, slopes);
#pragma unroll
      for (int i = 0; i < VEC; ++i) gradients[i] *= slopes[i], total[i] += gradients[i];
      store<VEC>(static_cast<T*>(a.x_gradient) + place, gradients);
    }
  }
#pragma unroll
  for (int i = 0; i < VEC; ++i) sums[threadIdx.y][threadIdx.x * VEC + i] = total[i];
  __syncthreads();
  if (threadIdx.y != 0 || column >= a.width) return;
#pragma unroll
  for (int i = 0; i < VEC; ++i) {
    for (int row = 1; row < kRows; ++row) total[i] += sums[row][threadIdx.x * VEC + i];
    partial[static_cast<int64_t>(blockIdx.y) * a.width + column + i] = total[i];
  }
}

/// Blocks of rows in the backward pass; a function of the sizes alone, with or without vectors.
int64_t row_blocks(const BiasGeluBackward& a) {
  const int64_t across = ceil_div(a.width, 32 * 4), wanted = at_most(processors() * 8 / across + 1, kMaxGridY);
  return at_most(ceil_div(a.rows, kRows), wanted);
}

// The squared error. A warp takes a row of a part at a time.

template <class T, int VEC>
__global__ void squared_error(SquaredError a, double* partial) {
  using A = Accumulation<T>;
  __shared__ double sums[kRows];
  const int64_t stride = static_cast<int64_t>(gridDim.x) * kRows;
  for (int64_t part = blockIdx.y; part < a.parts; part += gridDim.y) {
    double total = 0;
    for (int64_t row = static_cast<int64_t>(blockIdx.x) * kRows + threadIdx.y; row < a.rows; row += stride) {
      const int64_t first = (row * a.parts + part) * a.width;
      A sum = 0, p[VEC], t[VEC];
      for (int64_t d = threadIdx.x * VEC; d < a.width; d += 32 * VEC) {
        load<VEC>(static_cast<const T*>(a.prediction) + first + d, p);
        load<VEC>(static_cast<const A*>(a.target) + first + d, t);
#pragma unroll
        for (int i = 0; i < VEC; ++i) sum += (p[i] - t[i]) * (p[i] - t[i]);
      }
      total += static_cast<double>(sum);
    }
    total = warp_sum(total);
    if (threadIdx.x == 0) sums[threadIdx.y] = total;
    __syncthreads();
    if (threadIdx.x == 0 && threadIdx.y == 0) {
      for (int row = 1; row < kRows; ++row) total += sums[row];
      partial[static_cast<int64_t>(blockIdx.x) * a.parts + part] = total;
    }
    __syncthreads();  // before the next part writes to sums
  }
}

int64_t row_blocks(const SquaredError& a) { return at_most(ceil_div(a.rows, kRows), processors() * 8 / at_most(a.parts, 8) + 1); }

template <class T, int VEC>
__global__ void squared_error_gradient(SquaredErrorGradient a) {
  using A = Accumulation<T>;
  const A factor = static_cast<A>(a.factor) * *static_cast<const A*>(a.gradient);
  const int64_t stride = static_cast<int64_t>(gridDim.x) * blockDim.x * VEC;
  A p[VEC], t[VEC];
  for (int64_t i = (static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x) * VEC; i < a.count; i += stride) {
    load<VEC>(static_cast<const T*>(a.prediction) + i, p);
    load<VEC>(static_cast<const A*>(a.target) + i, t);
#pragma unroll
    for (int k = 0; k < VEC; ++k) p[k] = (p[k] - t[k]) * factor;
    store<VEC>(static_cast<T*>(a.out) + i, p);
  }
}

// Bytes to floats: four pixels, or one, at a time.

template <int VEC>
__global__ void normalise(NormaliseBytes a) {
  const int64_t groups = a.pixels / VEC, all = a.images * groups, stride = static_cast<int64_t>(gridDim.x) * blockDim.x;
  for (int64_t i = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x; i < all; i += stride) {
    const int64_t image = i / groups, pixel = i % groups * VEC;
    const uint8_t* from = a.in + (image * a.pixels + pixel) * 3;
    uint8_t bytes[3 * VEC];
    if constexpr (VEC == 4) {
      const auto* words = reinterpret_cast<const uint32_t*>(from);
#pragma unroll
      for (int w = 0; w < 3; ++w) {
        const uint32_t word = words[w];
#pragma unroll
        for (int b = 0; b < 4; ++b) bytes[4 * w + b] = static_cast<uint8_t>(word >> (8 * b));
      }
    } else {
#pragma unroll
      for (int b = 0; b < 3; ++b) bytes[b] = from[b];
    }
#pragma unroll
    for (int c = 0; c < 3; ++c) {
      float values[VEC];
      // Not fused: the same numbers as on the CPU.
#pragma unroll
      for (int k = 0; k < VEC; ++k) values[k] = __fadd_rn(__fmul_rn(static_cast<float>(bytes[3 * k + c]), a.scale[c]), a.shift[c]);
      store<VEC>(a.out + (image * 3 + c) * a.pixels + pixel, values);
    }
  }
}

// Pixels of patches. Index is 32 bits wide where that is enough: divisions are most of the work.

template <class T, int VEC, class Index>
__global__ void patch_rows(PatchRows a, Index all) {
  const auto patch = static_cast<Index>(a.patch), channels = static_cast<Index>(a.channels), rows = static_cast<Index>(a.rows);
  const Index vectors = patch / VEC, stride = static_cast<Index>(gridDim.x) * blockDim.x;
  const int64_t side = a.grid * a.patch;
  for (Index i = static_cast<Index>(blockIdx.x) * blockDim.x + threadIdx.x; i < all; i += stride) {
    Index rest = i / vectors;
    const Index x = (i - rest * vectors) * VEC;
    const Index y = rest % patch;
    rest /= patch;
    const Index channel = rest % channels, row = rest / channels, image = row / rows;
    const int64_t place = a.index != nullptr ? a.index[row] : static_cast<int64_t>(row - image * rows);
    const int64_t line = (static_cast<int64_t>(image) * a.channels + channel) * side + place / a.grid * a.patch + y;
    const T* from = static_cast<const T*>(a.pixels) + line * side + place % a.grid * a.patch + x;
    using Unit = Vector<T, VEC>;
    reinterpret_cast<Unit*>(a.out)[i] = *reinterpret_cast<const Unit*>(from);
  }
}

}  // namespace

cudaError_t launch(const BiasGelu& a, cudaStream_t stream) {
  const size_t size = size_of(a.type);
  const bool four = a.width % 4 == 0 && aligned(a.x, size) && aligned(a.out, size) && aligned(a.slope, size) && aligned(a.bias, wide_size(a.type));
  const dim3 block(32, kRows);
  const dim3 grid(static_cast<unsigned>(ceil_div(a.width, 32 * (four ? 4 : 1))),
                  static_cast<unsigned>(at_most(ceil_div(a.rows, 4 * kRows), kMaxGridY)));
  by_type(a.type, [&](auto tag) {
    using T = typename decltype(tag)::type;
    if (four) {
      bias_gelu<T, 4><<<grid, block, 0, stream>>>(a);
    } else {
      bias_gelu<T, 1><<<grid, block, 0, stream>>>(a);
    }
  });
  return cudaGetLastError();
}

size_t scratch_bytes(const BiasGeluBackward& a) { return static_cast<size_t>(row_blocks(a) * a.width) * wide_size(a.type); }

cudaError_t launch(const BiasGeluBackward& a, cudaStream_t stream, void* scratch) {
  const size_t size = size_of(a.type);
  const bool four = a.width % 4 == 0 && aligned(a.gradient, size) && aligned(a.slope, size) && aligned(a.x_gradient, size);
  const int64_t partials = row_blocks(a);
  const dim3 block(32, kRows), grid(static_cast<unsigned>(ceil_div(a.width, 32 * (four ? 4 : 1))), static_cast<unsigned>(partials));
  by_type(a.type, [&](auto tag) {
    using T = typename decltype(tag)::type;
    using A = Accumulation<T>;
    if (four) {
      bias_gelu_backward<T, 4><<<grid, block, 0, stream>>>(a, static_cast<A*>(scratch));
    } else {
      bias_gelu_backward<T, 1><<<grid, block, 0, stream>>>(a, static_cast<A*>(scratch));
    }
    if (a.bias_gradient == nullptr) return;
    add_columns(static_cast<const A*>(scratch), partials, a.width, Columns<A>{{static_cast<A*>(a.bias_gradient), nullptr, nullptr}, a.width}, stream);
  });
  return cudaGetLastError();
}

size_t scratch_bytes(const SquaredError& a) { return static_cast<size_t>(row_blocks(a) * a.parts) * sizeof(double); }

cudaError_t launch(const SquaredError& a, cudaStream_t stream, void* scratch) {
  const bool four = a.width % 4 == 0 && aligned(a.prediction, size_of(a.type)) && aligned(a.target, wide_size(a.type));
  const int64_t partials = row_blocks(a);
  const dim3 block(32, kRows), grid(static_cast<unsigned>(partials), static_cast<unsigned>(at_most(a.parts, kMaxGridY)));
  auto* partial = static_cast<double*>(scratch);
  by_type(a.type, [&](auto tag) {
    using T = typename decltype(tag)::type;
    if (four) {
      squared_error<T, 4><<<grid, block, 0, stream>>>(a, partial);
    } else {
      squared_error<T, 1><<<grid, block, 0, stream>>>(a, partial);
    }
  });
  add_columns(partial, partials, a.parts, Columns<double>{{a.sums, nullptr, nullptr}, a.parts}, stream);
  return cudaGetLastError();
}

cudaError_t launch(const SquaredErrorGradient& a, cudaStream_t stream) {
  const size_t size = size_of(a.type);
  const bool four = a.count % 4 == 0 && aligned(a.prediction, size) && aligned(a.target, wide_size(a.type)) && aligned(a.out, size);
  const auto blocks = static_cast<unsigned>(at_most(ceil_div(a.count, kThreads * (four ? 4 : 1)), kMaxGridX));
  by_type(a.type, [&](auto tag) {
    using T = typename decltype(tag)::type;
    if (four) {
      squared_error_gradient<T, 4><<<blocks, kThreads, 0, stream>>>(a);
    } else {
      squared_error_gradient<T, 1><<<blocks, kThreads, 0, stream>>>(a);
    }
  });
  return cudaGetLastError();
}

cudaError_t launch(const NormaliseBytes& a, cudaStream_t stream) {
  const bool four = a.pixels % 4 == 0 && aligned(a.in, 1) && aligned(a.out, sizeof(float));
  const auto blocks = static_cast<unsigned>(at_most(ceil_div(a.images * a.pixels, kThreads * (four ? 4 : 1)), kMaxGridX));
  if (four) {
    normalise<4><<<blocks, kThreads, 0, stream>>>(a);
  } else {
    normalise<1><<<blocks, kThreads, 0, stream>>>(a);
  }
  return cudaGetLastError();
}

cudaError_t launch(const PatchRows& a, cudaStream_t stream) {
  const size_t size = size_of(a.type);
  const bool four = a.patch % 4 == 0 && aligned(a.pixels, size) && aligned(a.out, size);
  const int64_t all = a.images * a.rows * a.channels * a.patch * (a.patch / (four ? 4 : 1));
  const int64_t blocks = at_most(ceil_div(all, kThreads), kMaxGridX);
  // The loop's counter passes the end by up to a grid before it stops.
  const bool narrow = all + blocks * kThreads < 4294967296;
  by_type(a.type, [&](auto tag) {
    using T = typename decltype(tag)::type;
    const auto grid = static_cast<unsigned>(blocks);
    if (four && narrow) {
      patch_rows<T, 4, uint32_t><<<grid, kThreads, 0, stream>>>(a, static_cast<uint32_t>(all));
    } else if (four) {
      patch_rows<T, 4, int64_t><<<grid, kThreads, 0, stream>>>(a, all);
    } else if (narrow) {
      patch_rows<T, 1, uint32_t><<<grid, kThreads, 0, stream>>>(a, static_cast<uint32_t>(all));
    } else {
      patch_rows<T, 1, int64_t><<<grid, kThreads, 0, stream>>>(a, all);
    }
  });
  return cudaGetLastError();
}

}  // namespace flowrun::kernels::cuda
