// The face of encoders that make maps in stages.
#pragma once

#include <string>
#include <vector>

#include "graph/contract/planned.h"
#include "nodes/lib/tensor/model/encoder.h"
#include "nodes/lib/tensor/types/feature_maps.h"

namespace flowrun::model {

/// The maps that a pass hands out.
struct StageRequest {
  std::vector<int64_t> stages;  ///< increasing; they exist
  bool before_relu = false;     ///< maps of groups of blocks before their last ReLU; that of the stem stays as it is
};

/// Stage 1 is the stem, after its activation and pooling; the next ones are the groups of blocks, after the last activation. Networks that normalise
/// before their convolutions have no activation there, and their maps before a ReLU are those behind the norm that comes next.
class Staged {
 public:
  virtual ~Staged() = default;

  /// All stages, for pictures of `side` pixels; of the usual side where it is 0.
  virtual std::vector<StageShape> stages(double side) const = 0;

  /// As Encoder::encode() of whole pictures. `maps_BCHW` gets the maps that are asked for.
  virtual Tokens encode_stages(const Tensor& images_BCHW, const EncodeOptions& options, const StageRequest& request,
                               std::vector<Tensor>& maps_BCHW) const = 0;

  /// A branch has no stem: it takes the map of `stage` of another network instead of pictures. Stage 0: it is no branch.
  virtual StageShape branches_from() const { return {}; }
  /// The pass of a branch: the map behind its last stage.
  virtual Tensor encode_map(const Tensor& map_BCHW, const EncodeOptions& options) const;
};

/// A fault of parameter "stages": an encoder, `name` in the pipeline, that has none, or a number that it lacks.
void check_stages(NodePlan& plan, const Encoder& encoder, const std::vector<int64_t>& stages, const std::string& name);

/// The channels of a stage. Throws NodeError if the encoder, `name` in the pipeline, lacks it.
int64_t channels_of(const Encoder& encoder, int64_t stage, const std::string& name);

/// The shapes of these stages; those that the encoder lacks are left out.
std::vector<StageShape> stages_of(const Encoder& encoder, const std::vector<int64_t>& stages, double side);

}  // namespace flowrun::model
