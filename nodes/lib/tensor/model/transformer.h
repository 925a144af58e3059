// Pre-norm transformer blocks over a parameter list. Used by the encoder, the predictors and the probes.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "nodes/lib/tensor/model/parameters.h"
#include "nodes/lib/tensor/model/rotary.h"

namespace flowrun::kernels {
struct Stream;
}

namespace flowrun::model {

struct BlocksConfig {
  int64_t depth = 12, width = 384, heads = 6;
  double mlp_ratio = 4, norm_eps = 1e-6;
  bool gated = false;      ///< SwiGLU of two thirds of the width, up to a multiple of 8, in place of GELU (DINOv2)
  double layer_scale = 0;  ///< initial value of the gains after both sub-blocks (CaiT, DINOv2); 0: none
  bool recompute = false;  ///< a block keeps its input for the backward pass, and runs again in it
  int64_t lora_rank = 0;   ///< rank of the trained addition to qkv and proj (LoRA); 0: none
  double lora_alpha = 16;  ///< the addition weighs lora_alpha / lora_rank
  /// A head is computed as if its width were a multiple of this, with zeros in the places more: fast attention kernels need such
  /// widths, and pad each query, key and value otherwise. 0: 8 where a GPU computes in half precision, else 1.
  int64_t head_multiple = 0;
  bool causal = false;      ///< a row attends to itself and those before it
  bool quick_gelu = false;  ///< x sigmoid(1.702 x) in place of GELU (CLIP); not of gated ones
  /// Standard deviations of the initial weights of qkv, of the last layer of each sub-block, and of fc1, whatever the scheme (CLIP); 0: the scheme's.
  double attention_deviation = 0, residual_deviation = 0, mlp_deviation = 0;
  int64_t condition = 0;  ///< width of the condition of adaptive norms; 0: the norms have none
};

/// The tensors that can be read from a block (data2vec calls them target types; Bootleg compares them).
enum class Tap {
  output,     ///< the residual stream behind the block
  middle,     ///< the residual stream between attention and MLP
  attention,  ///< what attention adds to the stream
  mlp,        ///< what the MLP adds to the stream
};

/// Rows of a sequence [B, S, D]: `count` from `first` on, or those of an index.
struct RowChoice {
  int64_t first = 0, count = 0;
  Tensor index_Bn;  ///< int64, of each sequence; undefined: the range

  Tensor of(const Tensor& x_BSD) const;
  Rotation of(const Rotation& all, int64_t sequences) const;
};

/// Queries, keys and values of one block, [B, H, S, E] each.
struct AttentionTap {
  Tensor query_BHSE, key_BHSE, value_BHSE;
};

/// The parameters "blocks.0.*" … "blocks.(depth-1).*" of one stack of blocks:
///
///   x += ls1 proj(attention(norm1(x)));   x += ls2 fc2(gelu(fc1(norm2(x))))
///
///   gated: x += ls2 w3(silu(a) b), a and b the halves of w12(norm2(x))
///
/// Exact GELU (erf) unless quick_gelu, qkv with bias, no dropout; ls1 and ls2 only with layer scale. With a condition each norm's output
/// becomes norm(x) (1 + scale) + shift, and what a sub-block adds is multiplied by a gate: all six are rows of a linear layer "ada" of the
/// condition (DiT's adaLN), which begins at zero, so that blocks begin as the identity. Holds indices only, so the parameters may move. Under
/// autocast the linear layers and the attention run in its type. Thread-safe.
class Blocks {
 public:
  /// Adds the parameters. Throws std::invalid_argument unless heads divide the width and all sizes are positive.
  Blocks(Parameters& parameters, const BlocksConfig& config);

  struct Options {
    /// Stochastic depth: factors of the attention branch and the MLP branch, [B, 1, 1] each (0, or 1 over the chance of
    /// staying); null: both stay.
    const Tensor* attention_keep = nullptr;
    const Tensor* mlp_keep = nullptr;
    /// Rows that are attended to, [B, 1, 1, S] bool; null: all. Not with causal blocks.
    const Tensor* attended = nullptr;
    /// Rotary positions of all rows; null: none.
    const Rotation* rotation = nullptr;
    /// Rows that are read of the block; null: all. All are attended to, but queries, projection and MLP see these alone, and the stream is
    /// [B, rows, D] afterwards. Not of causal blocks, and without `attention`.
    const RowChoice* rows = nullptr;
    /// Of the rows, [B, condition]; needed with adaptive norms. Null or undefined: none.
    const Tensor* condition = nullptr;
    /// Destination of the tensor that `tap` names, [B, S, D]; null: not stored.
    Tensor* tapped = nullptr;
    Tap tap = Tap::output;
    /// Nothing but the tap is read of this block: what comes behind it does not run, and the stream is void afterwards.
    bool ends = false;
    /// Destination of queries, keys and values; null: not stored.
    AttentionTap* attention = nullptr;
  };

  /// Takes the stream [B, S, D] through block `block` (from 0). The next norm adds the MLP's output.
  void run(const Parameters& parameters, int64_t block, kernels::Stream& stream, const Options& options) const;
  void run(const Parameters& parameters, int64_t block, kernels::Stream& stream) const { run(parameters, block, stream, Options()); }

  int64_t depth() const { return config_.depth; }

 private:
  /// Indices of a block's parameters. A bias follows its weight.
  struct Places {
    size_t norm1, qkv, proj, ls1, norm2, fc1, fc2, ls2;  // gated: fc1 is w12, fc2 is w3
    size_t qkv_lora, proj_lora;                          // A [rank, in]; B [out, rank] stands behind it
    size_t ada;
  };
  /// Shift, scale and gate of one sub-block, made of the condition, [B, 1, D] each; undefined without a condition.
  struct Modulation {
    Tensor shift, scale, gate;
    Tensor of(const Tensor& n_BSD) const;
  };
  /// Of attention, and of the MLP.
  std::array<Modulation, 2> modulations(const Parameters& parameters, const Places& place, const Tensor* condition) const;
  /// The parameters that run() reads of a block, apart from the bias that the next norm adds.
  std::vector<Tensor> parameters_of(const Parameters& parameters, const Places& place) const;
  void run_again(const Parameters& parameters, int64_t block, kernels::Stream& stream, const Options& options) const;
  void run_once(const Parameters& parameters, int64_t block, kernels::Stream& stream, const Options& options) const;
  Places add_block(Parameters& parameters, int64_t block) const;
  size_t add_lora(Parameters& parameters, const std::string& name, int64_t out, int64_t block) const;
  void attend(const Parameters& parameters, const Places& place, kernels::Stream& stream, const Options& options, const Modulation& modulation) const;
  Tensor hidden_of(const Parameters& parameters, const Places& place, const Tensor& n_BSD) const;
  void feed_forward(const Parameters& parameters, const Places& place, kernels::Stream& stream, const Modulation& modulation) const;
  kernels::Stream branch(const Parameters& parameters, const Tensor& x, const Tensor& in, const Tensor& weight, size_t bias, size_t gain,
                         const Tensor& gate) const;
  static void finish(kernels::Stream& stream, const Tensor* keep, Tensor* tapped);
  Tensor weight(const Parameters& parameters, size_t plain, size_t lora) const;
  int64_t head_width(const Tensor& x) const;

  BlocksConfig config_;
  std::vector<Places> places_;
};

}  // namespace flowrun::model
