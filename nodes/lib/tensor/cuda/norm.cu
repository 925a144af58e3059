// Standardised rows, and the residual addition with its layer norm. A warp takes a row at a time.
#include "nodes/lib/tensor/cuda/device.cuh"
#include "nodes/lib/tensor/cuda/launch.h"

namespace flowrun::kernels::cuda {
namespace {

constexpr int kWarps = 4;  // of a block

unsigned blocks_for(int64_t rows) { return static_cast<unsigned>(at_most(ceil_div(rows, kWarps), kMaxGridX)); }

/// Mean, and one over the standard deviation, of x[0 .. width); all lanes get them.
template <int VEC, class T, class A>
__device__ void statistics(const T* x, int64_t width, int64_t over, double eps, A& mean, A& rstd) {
  const int64_t first = threadIdx.x * VEC;
  A values[VEC], sum = 0, squares = 0;
  for (int64_t d = first; d < width; d += 32 * VEC) {
    load<VEC>(x + d, values);
#pragma unroll
    for (int i = 0; i < VEC; ++i) sum += values[i];
  }
  mean = warp_sum(sum) / static_cast<A>(width);
  for (int64_t d = first; d < width; d += 32 * VEC) {
    load<VEC>(x + d, values);
#pragma unroll
    for (int i = 0; i < VEC; ++i) squares += (values[i] - mean) * (values[i] - mean);
  }
  rstd = A(1) / sqrt(warp_sum(squares) / static_cast<A>(over) + static_cast<A>(eps));
}

template <class T, int VEC>
__global__ void target_rows(TargetRows a) {
  using A = Accumulation<T>;
  const int64_t rows = a.images * a.rows, stride = static_cast<int64_t>(gridDim.x) * blockDim.y;
  for (int64_t row = static_cast<int64_t>(blockIdx.x) * blockDim.y + threadIdx.y; row < rows; row += stride) {
    const T* x = static_cast<const T*>(a.tap) + row / a.rows * a.image_stride + a.index[row] * a.row_stride;
    A* out = static_cast<A*>(a.out) + row * a.out_stride;
    A mean, rstd, values[VEC];
    statistics<VEC>(x, a.width, a.unbiased ? a.width - 1 : a.width, a.eps, mean, rstd);
    for (int64_t d = threadIdx.x * VEC; d < a.width; d += 32 * VEC) {
      load<VEC>(x + d, values);
#pragma unroll
      for (int i = 0; i < VEC; ++i) values[i] = (values[i] - mean) * rstd;
      store<VEC>(out + d, values);
    }
  }
}

template <class S, class B, class N, int VEC>
__global__ void add_norm(AddNorm a) {
  using A = Accumulation<S>;
  const A *weight = static_cast<const A*>(a.weight), *shift = static_cast<const A*>(a.shift), *bias = static_cast<const A*>(a.bias);
  const int64_t stride = static_cast<int64_t>(gridDim.x) * blockDim.y, first = threadIdx.x * VEC;
  for (int64_t row = static_cast<int64_t>(blockIdx.x) * blockDim.y + threadIdx.y; row < a.rows; row += stride) {
    const S* x = static_cast<const S*>(a.x) + row * a.width;
    A values[VEC], others[VEC];
    if (a.branch != nullptr) {
      const B* branch = static_cast<const B*>(a.branch) + row * a.width;
      S* sum = static_cast<S*>(a.sum) + row * a.width;
      for (int64_t d = first; d < a.width; d += 32 * VEC) {
        load<VEC>(branch + d, values);
        if (bias != nullptr) {
          load<VEC>(bias + d, others);
#pragma unroll
          for (int i = 0; i < VEC; ++i) values[i] += others[i];
        }
        load<VEC>(x + d, others);
#pragma unroll
        for (int i = 0; i < VEC; ++i) values[i] += others[i];
        store<VEC>(sum + d, values);
      }
      x = sum;  // each lane reads only what it has written itself
    }
    A mean, rstd;
    statistics<VEC>(x, a.width, a.width, a.eps, mean, rstd);
    if (threadIdx.x == 0) static_cast<A*>(a.mean)[row] = mean, static_cast<A*>(a.rstd)[row] = rstd;
    N* out = static_cast<N*>(a.out) + row * a.width;
    A gains[VEC];
    for (int64_t d = first; d < a.width; d += 32 * VEC) {
      load<VEC>(x + d, values);
      load<VEC>(weight + d, gains);
      load<VEC>(shift + d, others);
#pragma unroll
      for (int i = 0; i < VEC; ++i) values[i] = (values[i] - mean) * rstd * gains[i] + others[i];
      store<VEC>(out + d, values);
    }
  }
}

/// Formulas: see cpu_loops.h. Sums over rows go into accumulators [3, width] of each warp: in shared memory, or, if that
/// is too small, in global memory, which then holds the warp's result.
template <class S, class B, class N, int VEC>
__global__ void add_norm_backward(AddNormBackward a, Accumulation<S>* partial, bool shared) {
  using A = Accumulation<S>;
  extern __shared__ __align__(32) unsigned char memory[];
  const int64_t width = a.width, first = threadIdx.x * VEC, stride = static_cast<int64_t>(gridDim.x) * blockDim.y;
  const int64_t warp = static_cast<int64_t>(blockIdx.x) * blockDim.y + threadIdx.y;
  A* sums = shared ? reinterpret_cast<A*>(memory) + threadIdx.y * 3 * width : partial + warp * 3 * width;
  A *of_weight = sums, *of_shift = sums + width, *of_bias = sums + 2 * width;
  // A lane only touches the columns that it also loads, here as below.
  for (int64_t d = first; d < width; d += 32 * VEC) {
    const A none[VEC] = {};
    store<VEC>(of_weight + d, none), store<VEC>(of_shift + d, none), store<VEC>(of_bias + d, none);
  }
  const A* weight = static_cast<const A*>(a.weight);
  for (int64_t row = warp; row < a.rows; row += stride) {
    const S* x = static_cast<const S*>(a.sum) + row * width;
    const N* g = static_cast<const N*>(a.out_gradient) + row * width;
    const A mean = static_cast<const A*>(a.mean)[row], rstd = static_cast<const A*>(a.rstd)[row];
    A values[VEC], gradients[VEC], gains[VEC], total[VEC], shifts[VEC], sum = 0, dot = 0;
    for (int64_t d = first; d < width; d += 32 * VEC) {
      load<VEC>(x + d, values);
      load<VEC>(g + d, gradients);
      load<VEC>(weight + d, gains);
      load<VEC>(of_weight + d, total);
      load<VEC>(of_shift + d, shifts);
#pragma unroll
      for (int i = 0; i < VEC; ++i) {
        const A n = (values[i] - mean) * rstd, weighted = gradients[i] * gains[i];
        sum += weighted, dot += weighted * n;
        total[i] += gradients[i] * n, shifts[i] += gradients[i];
      }
      store<VEC>(of_weight + d, total);
      store<VEC>(of_shift + d, shifts);
    }
    sum = warp_sum(sum) / static_cast<A>(width), dot = warp_sum(dot) / static_cast<A>(width);
    for (int64_t d = first; d < width; d += 32 * VEC) {
      load<VEC>(x + d, values);
      load<VEC>(g + d, gradients);
      load<VEC>(weight + d, gains);
#pragma unroll
      for (int i = 0; i < VEC; ++i) values[i] = (gradients[i] * gains[i] - sum - (values[i] - mean) * rstd * dot) * rstd;
      if (a.sum_gradient != nullptr) {
        load<VEC>(static_cast<const S*>(a.sum_gradient) + row * width + d, gradients);
#pragma unroll
        for (int i = 0; i < VEC; ++i) values[i] += gradients[i];
      }
      store<VEC>(static_cast<S*>(a.gradient) + row * width + d, values);
      if (a.branch_gradient != nullptr) store<VEC>(static_cast<B*>(a.branch_gradient) + row * width + d, values);
      load<VEC>(of_bias + d, total);
#pragma unroll
      for (int i = 0; i < VEC; ++i) total[i] += values[i];
      store<VEC>(of_bias + d, total);
    }
  }
  if (!shared) return;
  __syncthreads();
  const A* all = reinterpret_cast<const A*>(memory);
  A* to = partial + static_cast<int64_t>(blockIdx.x) * 3 * width;
  for (int64_t c = threadIdx.y * 32 + threadIdx.x; c < 3 * width; c += blockDim.y * 32) {
    A total = 0;
    for (unsigned w = 0; w < blockDim.y; ++w) total += all[w * 3 * width + c];
    to[c] = total;
  }
}

/// The division of the backward pass into blocks.
struct Plan {
  int64_t blocks, warps, partials;
  size_t shared;  ///< bytes; 0: the accumulators are in global memory
};

Plan plan(const AddNormBackward& a) {
  constexpr size_t room = 48 * 1024;
  const size_t per_warp = 3 * static_cast<size_t>(a.width) * wide_size(a.stream);
  Plan plan{0, kWarps, 0, 0};
  while (plan.warps > 1 && plan.warps * per_warp > room) plan.warps /= 2;
  if (plan.warps * per_warp <= room) {
    plan.shared = plan.warps * per_warp;
  } else {
    plan.warps = kWarps;
  }
  plan.blocks = at_most(ceil_div(a.rows, plan.warps), processors() * (plan.warps == kWarps ? 4 : 8));
  plan.partials = plan.shared > 0 ? plan.blocks : plan.blocks * plan.warps;
  return plan;
}

}  // namespace

cudaError_t launch(const TargetRows& a, cudaStream_t stream) {
  const size_t size = size_of(a.type), wide = wide_size(a.type);
  const bool four =
      a.width % 4 == 0 && a.image_stride % 4 == 0 && a.row_stride % 4 == 0 && a.out_stride % 4 == 0 && aligned(a.tap, size) && aligned(a.out, wide);
  const unsigned blocks = blocks_for(a.images * a.rows);
  by_type(a.type, [&](auto tag) {
    using T = typename decltype(tag)::type;
    if (four) {
      target_rows<T, 4><<<blocks, dim3(32, kWarps), 0, stream>>>(a);
    } else {
      target_rows<T, 1><<<blocks, dim3(32, kWarps), 0, stream>>>(a);
    }
  });
  return cudaGetLastError();
}

cudaError_t launch(const AddNorm& a, cudaStream_t stream) {
  const size_t wide = wide_size(a.stream);
  const bool four = a.width % 4 == 0 && aligned(a.x, size_of(a.stream)) && aligned(a.sum, size_of(a.stream)) &&
                    aligned(a.branch, size_of(a.branch_type)) && aligned(a.out, size_of(a.out_type)) && aligned(a.bias, wide) &&
                    aligned(a.weight, wide) && aligned(a.shift, wide);
  by_types(a.stream, a.branch_type, a.out_type, [&](auto s, auto b, auto n) {
    using S = typename decltype(s)::type;
    using B = typename decltype(b)::type;
    using N = typename decltype(n)::type;
    if (four) {
      add_norm<S, B, N, 4><<<blocks_for(a.rows), dim3(32, kWarps), 0, stream>>>(a);
    } else {
      add_norm<S, B, N, 1><<<blocks_for(a.rows), dim3(32, kWarps), 0, stream>>>(a);
    }
  });
  return cudaGetLastError();
}

size_t scratch_bytes(const AddNormBackward& a) { return static_cast<size_t>(plan(a).partials * 3 * a.width) * wide_size(a.stream); }

cudaError_t launch(const AddNormBackward& a, cudaStream_t stream, void* scratch) {
  const Plan cut = plan(a);
  const dim3 block(32, static_cast<unsigned>(cut.warps));
  const auto blocks = static_cast<unsigned>(cut.blocks);
  const bool four = a.width % 4 == 0 && aligned(a.sum, size_of(a.stream)) && aligned(a.sum_gradient, size_of(a.stream)) &&
                    aligned(a.gradient, size_of(a.stream)) && aligned(a.branch_gradient, size_of(a.branch_type)) &&
                    aligned(a.out_gradient, size_of(a.out_type)) && aligned(a.weight, wide_size(a.stream));
  by_types(a.stream, a.branch_type, a.out_type, [&](auto s, auto b, auto n) {
    using S = typename decltype(s)::type;
    using B = typename decltype(b)::type;
    using N = typename decltype(n)::type;
    using A = Accumulation<S>;
    A* partial = static_cast<A*>(scratch);
    if (four) {
      add_norm_backward<S, B, N, 4><<<blocks, block, cut.shared, stream>>>(a, partial, cut.shared > 0);
    } else {
      add_norm_backward<S, B, N, 1><<<blocks, block, cut.shared, stream>>>(a, partial, cut.shared > 0);
    }
    const Columns<A> out{{static_cast<A*>(a.weight_gradient), static_cast<A*>(a.shift_gradient), static_cast<A*>(a.bias_gradient)}, a.width};
    if (out.to[0] || out.to[1] || out.to[2]) add_columns(partial, cut.partials, 3 * a.width, out, stream);
  });
  return cudaGetLastError();
}

}  // namespace flowrun::kernels::cuda
