// The vision transformer: trained as the student, copied as the teacher, and evaluated.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "graph/contract/rng.h"
#include "nodes/lib/tensor/model/encoder.h"
#include "nodes/lib/tensor/model/time_embedding.h"

namespace flowrun::model {

struct VitConfig {
  int64_t image = 224;  ///< side of the square input, pixels
  int64_t patch = 16;   ///< side of a patch, pixels; divides `image`
  int64_t width = 384;
  int64_t depth = 12;
  int64_t heads = 6;
  double mlp_ratio = 4;
  bool gated = false;       ///< MLPs are SwiGLU
  bool quick_gelu = false;  ///< as BlocksConfig's
  bool pre_norm = false;    ///< a layer norm stands before the blocks, and patches have no bias (CLIP)
  bool class_token = true;
  int64_t registers = 4;
  bool mask_token = false;  ///< learned, in place of patches that are hidden
  double norm_eps = 1e-6;
  int64_t channels = 3;
  Positions positions = Positions::sincos;
  double layer_scale = 0;        ///< initial value of the gains after the sub-blocks; 0: none
  bool recompute = false;        ///< blocks run again in the backward pass
  bool drop_evenly = false;      ///< drop_path is the chance in every block
  double drop_path = 0;          ///< chance that a branch of the last block is left out, rising linearly from 0 at the first
  std::vector<int64_t> sizes;    ///< other sides of square inputs that are accepted, pixels; tables of positions are resampled for them
  double position_offset = 0.1;  ///< of that resampling; see resampled_positions()
  int64_t lora_rank = 0;         ///< of what is added to the attention's weights; 0: none
  double lora_alpha = 16;
  bool time = false;  ///< norms adapt to the time of the noise in an image

  int64_t grid() const { return image / patch; }
  int64_t patches() const { return grid() * grid(); }
  /// Tokens before the patches.
  int64_t prefix() const { return (class_token ? 1 : 0) + registers; }
};

/// Depth, width and heads of "ti" (12, 192, 3), "s" (12, 384, 6), "b" (12, 768, 12), "l" (24, 1024, 16) or "h" (32, 1280,
/// 16). Throws std::invalid_argument that lists them.
VitConfig vit_arch(std::string_view name);

/// A table of positions [from * from, D] on a grid of `to` x `to`: bicubic (A = -0.75, half-pixel centres, no antialiasing). With an
/// offset the scale is (to + offset) / from, as DINO and DINOv2 have it with 0.1. Gradients pass through.
Tensor resampled_positions(const Tensor& table_ND, int64_t from, int64_t to, double offset);

/// Stochastic depth of one pass (Huang et al. 2016): [2 depth, B], 0 where a branch of a sample is left out, else one
/// over the chance of staying. Row 2 b is block b's attention, row 2 b + 1 its MLP. Host, float32; undefined when
/// drop_path is 0.
Tensor draw_drop_path(const VitConfig& config, Rng rng, int64_t images);

/// ViT with learned class and register tokens, which have no position, and a table of positions, or rotary ones, for the
/// patches. Token order: class, registers, patches. Parameter names are timm's.
///
/// The methods record gradients if grad mode is on and the parameters require them. They may run concurrently.
class Vit final : public Encoder {
 public:
  static constexpr const char* kind = "vit";
  using Tokens = model::Tokens;
  using Options = EncodeOptions;

  /// Throws std::invalid_argument if sizes do not fit together. Parameters are not drawn: see Parameters::initialise.
  explicit Vit(VitConfig config);

  const VitConfig& config() const { return config_; }
  EncoderShape shape() const override;
  std::vector<int64_t> sides() const override;
  /// The table, [N, D], float32 or float64 as the parameters; zeros with rotary positions.
  Tensor positions_ND() const;
  /// Moves parameters and table.
  void to(at::Device device, at::ScalarType dtype) override;
  std::optional<Cost> cost(const Pass& pass) const override;
  /// Also a file of another project, with positions on another grid: as load_weights() does.
  std::string take_weights(const std::string& file) override;

  Tokens encode(const Tensor& images_BCHW, const Seen& seen, const Options& options) const override;
  bool takes_hidden() const override { return config_.mask_token; }
  bool takes_time() const override { return config_.time; }
  bool drops() const override { return config_.drop_path > 0 && !frozen(); }
  Tensor draw_drop_path(Rng rng, int64_t images) const override { return drops() ? model::draw_drop_path(config_, rng, images) : Tensor(); }

  /// The student's pass: only the visible patches enter. images_BCHW [B, C, image, image], visible_BK int64, as many
  /// rows as images or a multiple (several masks per image, side by side). After the final layer norm.
  Tokens encode_visible(const Tensor& images_BCHW, const Tensor& visible_BK, const Options& options) const;
  Tokens encode_visible(const Tensor& images_BCHW, const Tensor& visible_BK) const { return encode_visible(images_BCHW, visible_BK, Options()); }

  /// The teacher's pass: the tensor that `tap` names, of blocks (1-based, increasing), patch rows only: [B, N, D] each,
  /// views of the whole sequence. Blocks after the last one asked for do not run. With `norm_last` the final layer norm
  /// is applied to the output of the last block of the model, if that is asked for. The images have no noise.
  std::vector<Tensor> hidden(const Tensor& images_BCHW, const std::vector<int64_t>& blocks, Tap tap = Tap::output,
                             bool norm_last = false) const override {
    return tapped(images_BCHW, blocks, tap, norm_last, {});
  }
  /// The last block asked for computes these rows alone.
  std::vector<Tensor> hidden_rows(const Tensor& images_BCHW, const std::vector<int64_t>& blocks, Tap tap, bool norm_last,
                                  const Tensor& rows_Bn) const override {
    return tapped(images_BCHW, blocks, tap, norm_last, rows_Bn);
  }

  /// All patches, after the final layer norm. Where hidden_BN is true the mask token stands in for the embedded patch, before positions are
  /// added (BEiT, SimMIM, iBOT).
  Tokens masked(const Tensor& images_BCHW, const Tensor& hidden_BN, const Options& options) const;

  /// All patches, after the final layer norm.
  Tokens features(const Tensor& images_BCHW, const Options& options) const;
  Tokens features(const Tensor& images_BCHW) const { return features(images_BCHW, Options()); }

 private:
  Tensor patchify(const Tensor& images_BCHW, const Tensor& index) const;
  /// Patches per side of these images; throws std::invalid_argument for a side that is not accepted.
  int64_t grid_of(const Tensor& images_BCHW) const;
  /// The patches at their places in a grid: with the table's rows of visible_BK [B, K], or of all.
  Tensor placed(const Tensor& patch_BKD, int64_t grid, const Tensor& visible_BK) const;
  /// Rotary positions of the whole sequence; nothing without them.
  std::optional<Rotation> rotation_of(int64_t grid, const Tensor& visible_BK) const;
  Tensor embedded(const Tensor& patch_BKF) const;
  Tensor sequence(const Tensor& patch_BKD) const;
  Tensor with_tokens(const Tensor& patch_BKD) const;
  /// hidden(), or where rows_Bn is defined hidden_rows().
  std::vector<Tensor> tapped(const Tensor& images_BCHW, const std::vector<int64_t>& blocks, Tap tap, bool norm_last, const Tensor& rows_Bn) const;
  /// The rows of the last block that a pass needs; nothing: all.
  std::optional<RowChoice> rows_read(const Options& options, int64_t all) const;
  Tokens run_blocks(Tensor x_BSD, const std::optional<Rotation>& rotation, const Options& options) const;
  /// The layer norm whose parameters begin at `at`.
  Tensor norm(kernels::Stream stream, size_t at) const;
  /// The condition that adaptive norms take, made of the times, for so many rows; undefined without such norms.
  Tensor condition(const Tensor& time_B, int64_t rows) const { return time_ ? time_->condition(parameters_, time_B, rows) : Tensor(); }
  void place_tables(at::Device device, at::ScalarType dtype);

  std::unique_ptr<Module> fresh() const override { return std::make_unique<Vit>(config_); }
  /// The position table where it is computed, and what the shapes don't tell of the configuration.
  std::vector<std::pair<std::string, Tensor>> notes() const override;

  VitConfig config_;
  std::optional<size_t> class_, register_, mask_;
  size_t patch_weight_ = 0, norm_ = 0, pre_norm_ = 0, positions_ = 0;
  std::optional<Blocks> blocks_;
  std::optional<TimeEmbedding> time_;
  Tensor table_ND_;        // sine-cosine, or zeros
  Tensor frequencies_2E_;  // rotary
};

/// The tensors that timm's VisionTransformer(class_token, reg_tokens, no_embed_class=True, num_classes=0, pre_norm, init_values
/// with layer scale) loads with all keys matched: the parameters but the mask token, LoRA's additions merged, and the position table as
/// pos_embed [1, N, D]. Shares storage with the model if nothing is merged.
std::vector<std::pair<std::string, Tensor>> timm_state(const Vit& vit);

}  // namespace flowrun::model
