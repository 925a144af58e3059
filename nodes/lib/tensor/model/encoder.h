// The face of models that make tokens of images.
#pragma once

#include <vector>

#include "graph/contract/rng.h"
#include "nodes/lib/tensor/model/module.h"
#include "nodes/lib/tensor/model/pass.h"
#include "nodes/lib/tensor/model/rows.h"
#include "nodes/lib/tensor/model/transformer.h"

namespace flowrun::model {

struct EncoderShape {
  int64_t image = 0;         ///< side of the square input, pixels
  int64_t grid = 0;          ///< patches per side
  int64_t width = 0;         ///< D
  int64_t depth = 0;         ///< blocks
  int64_t heads = 0;         ///< of attention
  bool class_token = false;  ///< whether there is one
  int64_t prefix = 0;        ///< tokens before the patches: class and registers
  double norm_eps = 0;       ///< of layer norms
  int64_t patches() const { return grid * grid; }
};

struct Tokens {
  Tensor cls_B1D;                ///< undefined without a class token
  Tensor patch;                  ///< [B, N or K, D]
  Tensor registers;              ///< [B, registers, D]; undefined without registers
  std::vector<Tensor> maps_BSD;  ///< each block's raw output, all tokens; only if asked for
  // The blocks that TapRequest names, all tokens.
  std::vector<Tensor> outputs_BSD;
  std::vector<AttentionTap> attention;
};

/// The blocks (1-based, increasing) whose outputs or attention a pass hands out beside the tokens.
struct TapRequest {
  std::vector<int64_t> outputs;    ///< blocks whose raw output goes out
  std::vector<int64_t> attention;  ///< blocks whose queries, keys and values do
  int64_t last = 0;                ///< the pass ends behind this block, and there are no tokens; 0: it does not
};

/// The patches of images that an encoder sees: all, or those of visible_BK [B, K] (int64), or all with a mask token in the place of those
/// of hidden_BN [B, N] (bool). Both have as many rows as images or a multiple: several masks per image, side by side.
struct Seen {
  Tensor visible_BK;  ///< undefined: the whole image
  Tensor hidden_BN;   ///< undefined: nothing is hidden
};

struct EncodeOptions {
  NormPass norm;
  Tensor drop_path;       ///< of draw_drop_path(), on the images' device; undefined: every branch stays
  bool maps = false;      ///< whether Tokens::maps_BSD is filled
  Tensor time_B;          ///< of the noise in each image, for encoders that take it, [B] int64; undefined: there is no noise
  TapRequest taps;        ///< of vision transformers alone
  Read read = Read::all;  ///< tokens that are not read may stay undefined
};

class Encoder : public Module {
 public:
  static constexpr const char* kind = "encoder";

  using Module::Module;

  virtual EncoderShape shape() const = 0;
  std::optional<int64_t> vector_width() const override { return shape().width; }
  /// Sides of the pictures that it takes, pixels; the first is shape().image. Empty: any.
  virtual std::vector<int64_t> sides() const { return {shape().image}; }

  /// Tokens of images [B, C, image, image], after the final layer norm.
  virtual Tokens encode(const Tensor& images_BCHW, const Seen& seen, const EncodeOptions& options) const = 0;

  /// The values that `tap` names of blocks (1-based, increasing), patch rows only: [B, N, D] each. What comes after the last value asked for
  /// does not run. With `norm_last` the final layer norm is applied to the output of the last block of the model, if that is
  /// asked for.
  virtual std::vector<Tensor> hidden(const Tensor& images_BCHW, const std::vector<int64_t>& blocks, Tap tap, bool norm_last) const = 0;
  /// Of these the patches rows_Bn of each image (int64), [B, n, D] each. An encoder may leave out work that only the others need.
  virtual std::vector<Tensor> hidden_rows(const Tensor& images_BCHW, const std::vector<int64_t>& blocks, Tap tap, bool norm_last,
                                          const Tensor& rows_Bn) const {
    std::vector<Tensor> taps = hidden(images_BCHW, blocks, tap, norm_last);
    for (Tensor& tapped : taps) tapped = gather_rows(tapped, rows_Bn);
    return taps;
  }

  /// Whether it can see chosen patches alone.
  virtual bool takes_patches() const { return true; }
  /// Whether it has a mask token for hidden patches.
  virtual bool takes_hidden() const { return false; }
  /// Whether it is told the time of the noise in an image.
  virtual bool takes_time() const { return false; }
  /// Whether a pass that trains draws anything.
  virtual bool drops() const = 0;
  /// The stochastic depth of one pass over so many images or masks; on the host, undefined where nothing is dropped.
  virtual Tensor draw_drop_path(Rng rng, int64_t images) const = 0;
};

}  // namespace flowrun::model
