#include "nodes/lib/tensor/model/matched.h"

#include <ATen/core/grad_mode.h>
#include <stdexcept>

#include "graph/contract/planned.h"
#include "graph/node.h"
#include "nodes/lib/tensor/model/block_taps.h"
#include "nodes/lib/tensor/types/device_matches.h"
#include "nodes/lib/tensor/types/vectors.h"

namespace flowrun {
namespace {

struct TokensMatched {
  static constexpr NodeInfo info{
      .type = "tokens.matched",
      .brief = "Vectors of the places that two views of a picture share: of the cells in the first, or of what lies there in the second.",
      .scope = Scope::device,
      .details =
          "One row for each cell of image.matches whose place lies inside the second view, pair by pair; from and to give rows in the same order. "
          "The tokens are those of the last block that comes in, before the encoder's final norm. With train false no gradient is recorded.",
      .repeats = true};
  struct Ports {
    In<BlockTaps> blocks{"blocks", "Of the views on this side: from encode.images with blocks."};
    In<DeviceMatches> matches{"matches", "From device.upload."};
    Out<Vectors> vectors{"vectors", "n D; rows of a pair of views are those of an image."};
    void describe(auto& port) { port(blocks, matches, vectors); }
  };
  struct Params {
    Ref<model::AttentionPool> model;
    std::string side = "from";
    bool train = true;
    void describe(auto& param) {
      param.reads("model", model, "The model.attention_pool.");
      param("side", side, sides(), "from: the drawn cells of the first views. to: their places in the second.");
      param("train", train, "Whether the vectors are trained on; false for teachers.");
    }
    static const Choices& sides() {
      static const Choices choices = {"from", "to"};
      return choices;
    }
  };
  Params params;

  void plan(NodePlan& plan) const {
    plan.require_width("blocks", params.model->config().width, params.model.names[0], "\"of\" of that model must name the encoder of these tokens");
    const Planned in = plan.known("blocks");
    if (in.rows > 0 && in.parts.empty()) plan.fault("blocks", no_block, hint);
    const double cells = in.grid * in.grid;
    // About one place for nine cells: the windows of image.matches are not known here.
    plan.passes.push_back(
        {params.model.names[0], params.train, [&model = *params.model, cells, images = in.rows / plan.group.images](const MaskCounts&) {
           return model.cost_of(cells, cells / 9).times(images);
         }});
    plan.out["vectors"] = Vectors::planned(0, static_cast<double>(params.model->config().width));
  }

  void run(Ports& port, const GroupContext&) const {
    const at::AutoGradMode gradients(params.train && at::GradMode::is_enabled());
    const DeviceMatches& matches = *port.matches;
    if (!matches.to_ms4.defined()) throw NodeError("there are no matches: connect image.matches to batch.stack, and its matches to device.upload");
    const BlockTaps& blocks = *port.blocks;
    if (blocks.values_BSD.empty()) throw NodeError(std::string(no_block) + ": " + hint);
    const Tensor& last_BSD = blocks.values_BSD.back();
    const Tensor patches = last_BSD.narrow(1, blocks.prefix, last_BSD.size(1) - blocks.prefix);
    Vectors& out = *port.vectors;
    try {
      out.values_nD = model::matched(*params.model, patches, matches, params.side == "from" ? model::MatchSide::from : model::MatchSide::to);
    } catch (const std::invalid_argument& error) {
      throw NodeError(std::string(error.what()) + ": connect the tokens of these views, and set " + params.side +
                      "_grid of image.matches to side over patch");
    }
    out.image_n = matches.valid_n.div(matches.layout.rows, "floor");
    out.images = matches.pictures * matches.layout.pairs(), out.views = matches.layout.pairs();
  }

 private:
  static constexpr const char* no_block = "no block's output comes in";
  static constexpr const char* hint = "name the encoder's last block in blocks of encode.images";
};

FLOWRUN_NODE(TokensMatched);

}  // namespace
}  // namespace flowrun
