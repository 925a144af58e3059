// The vision transformer that is trained (student), copied (teacher) and evaluated.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "nodes/model/parameters.h"
#include "nodes/model/transformer.h"

namespace flowrun::model {

struct VitConfig {
  int64_t image = 224;  ///< side of the square input, pixels
  int64_t patch = 16;   ///< side of a patch, pixels; divides `image`
  int64_t width = 384;
  int64_t depth = 12;
  int64_t heads = 6;
  double mlp_ratio = 4;
  bool class_token = true;
  int64_t registers = 4;
  double norm_eps = 1e-6;
  int64_t channels = 3;

  int64_t grid() const { return image / patch; }
  int64_t patches() const { return grid() * grid(); }
  /// Tokens before the patches.
  int64_t prefix() const { return (class_token ? 1 : 0) + registers; }
};

/// Depth, width and heads of "ti" (12, 192, 3), "s" (12, 384, 6), "b" (12, 768, 12) or "l" (24, 1024, 16). Throws
/// std::invalid_argument that lists them.
VitConfig vit_arch(std::string_view name);

/// ViT with learned class and register tokens, which have no position, and a fixed sine-cosine table for the patches.
/// Token order: class, registers, patches. Parameter names are timm's.
///
/// The methods record gradients if grad mode is on and the parameters require them. They may run concurrently.
class Vit {
 public:
  /// Throws std::invalid_argument if sizes do not fit together. Parameters are not drawn: see Parameters::initialise.
  explicit Vit(VitConfig config);

  const VitConfig& config() const { return config_; }
  Parameters& parameters() { return parameters_; }
  const Parameters& parameters() const { return parameters_; }
  /// [N, D], float32 or float64 as the parameters; not trained.
  const Tensor& positions_ND() const { return positions_ND_; }
  /// Moves parameters and table.
  void to(at::Device device, at::ScalarType dtype);

  struct Tokens {
    Tensor cls_B1D;    ///< undefined without a class token
    Tensor patch;      ///< [B, N or K, D]
    Tensor registers;  ///< [B, registers, D]; undefined without registers
  };

  /// The student's pass: only the visible patches enter. images_BCHW [B, C, image, image], visible_BK int64. After the
  /// final layer norm; registers are dropped.
  Tokens encode_visible(const Tensor& images_BCHW, const Tensor& visible_BK) const;

  /// The teacher's pass: raw outputs of blocks (1-based, increasing), patch rows only: [B, N, D] each, views of the
  /// whole sequence. Blocks after the last one asked for do not run, nor does the final norm.
  std::vector<Tensor> hidden(const Tensor& images_BCHW, const std::vector<int64_t>& blocks) const;

  /// Evaluation: all patches, after the final layer norm.
  Tokens features(const Tensor& images_BCHW) const;

 private:
  Tensor patchify(const Tensor& images_BCHW) const;
  Tensor sequence(const Tensor& patch_BKF, const Tensor& position_KD) const;
  Tokens finish(const Tensor& x_BSD) const;

  VitConfig config_;
  Parameters parameters_;
  std::optional<size_t> class_, register_;
  size_t patch_weight_ = 0, norm_ = 0;
  std::optional<Blocks> blocks_;
  Tensor positions_ND_;
};

/// What timm's VisionTransformer(class_token, reg_tokens, no_embed_class=True, num_classes=0) loads with all keys
/// matched: the parameters, and the position table as pos_embed [1, N, D]. Shares storage with the model.
std::vector<std::pair<std::string, Tensor>> timm_state(const Vit& vit);

}  // namespace flowrun::model
