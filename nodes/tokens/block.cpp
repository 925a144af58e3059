#include <ATen/ops/arange.h>
#include <algorithm>

#include "graph/contract/planned.h"
#include "graph/node.h"
#include "nodes/lib/tensor/model/block_taps.h"
#include "nodes/lib/tensor/types/vectors.h"

namespace flowrun {
namespace {

struct TokensBlock {
  static constexpr NodeInfo info{.type = "tokens.block",
                                 .brief = "The patches behind one block of an encoder as vectors: one row for each patch.",
                                 .scope = Scope::device,
                                 .details =
                                     "Rows come image by image, or mask by mask, then patch by patch; class token and registers are left out. They "
                                     "stay on the way of the gradient. A head maps them to a teacher's width, loss.vectors compares them.",
                                 .repeats = true};
  struct Ports {
    In<BlockTaps> blocks{"blocks", "From encode.images or mim.encode_visible with blocks."};
    Out<Vectors> vectors{"vectors", "n D."};
    void describe(auto& port) { port(blocks, vectors); }
  };
  struct Params {
    int64_t block = 0;
    void describe(auto& param) { param("block", block, not_negative, "Which of the blocks that come in; 0: the only one."); }
  };
  Params params;

  void plan(NodePlan& plan) const {
    const Planned in = plan.known("blocks");
    if (in.rows > 0 && !find(in.parts)) plan.fault(params.block > 0 ? "block" : "blocks", missing(in.parts), hint);
    plan.out["vectors"] = Vectors::planned(0, in.width);
  }

  void run(Ports& port, const GroupContext&) const {
    const BlockTaps& in = *port.blocks;
    const auto place = find(in.blocks);
    if (!place) throw NodeError(missing(in.blocks) + ": " + hint);
    const Tensor& all_BSD = in.values_BSD[*place];
    const Tensor patches = all_BSD.narrow(1, in.prefix, all_BSD.size(1) - in.prefix);
    const Tensor image = at::arange(patches.size(0), patches.options().dtype(at::kLong).requires_grad(false));
    *port.vectors = {
        .values_nD = patches.flatten(0, 1), .views = in.views, .image_n = image.repeat_interleave(patches.size(1)), .images = patches.size(0)};
  }

 private:
  static constexpr const char* hint = "name it in blocks of the node that makes them";

  std::optional<size_t> find(const std::vector<int64_t>& blocks) const {
    if (params.block == 0) return blocks.size() == 1 ? std::optional<size_t>(0) : std::nullopt;
    const auto found = std::find(blocks.begin(), blocks.end(), params.block);
    return found == blocks.end() ? std::nullopt : std::optional<size_t>(found - blocks.begin());
  }
  std::string missing(const std::vector<int64_t>& blocks) const {
    if (params.block == 0) return std::to_string(blocks.size()) + " blocks come in, and block does not say which is taken";
    return "block " + std::to_string(params.block) + " does not come in";
  }
};

FLOWRUN_NODE(TokensBlock);

}  // namespace
}  // namespace flowrun
