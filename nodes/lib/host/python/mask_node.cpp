#include "nodes/lib/host/mask/mask_node.h"

#include <algorithm>
#include <array>

#include "nodes/lib/host/mask/hidden_map.h"
#include "nodes/lib/host/python/python_node.h"

namespace flowrun::python {
namespace {

/// The function's own parameters behind `patch`, which the node keeps for itself.
class PatchAndParams final : public ParamSet {
 public:
  PatchAndParams(mask::PatchParam& patch, ParamSet& own) : patch_(patch), own_(own) {}
  void describe(ParamVisitor& visitor) override {
    patch_.describe(visitor);
    own_.describe(visitor);
  }

 private:
  mask::PatchParam& patch_;
  ParamSet& own_;
};

void require_patches(const std::vector<int64_t>& rows, int64_t patches) {
  if (std::ranges::any_of(rows, [&](int64_t at) { return at < 0 || at >= patches; })) {
    throw FatalNodeError("Python gave patches outside of 0 to " + std::to_string(patches - 1));
  }
}

std::vector<int64_t> numbers(const Array& array, size_t axes, int64_t images, const char* what) {
  if (array.element != Element::i64 || array.shape.size() != axes || array.shape[0] != images) {
    throw FatalNodeError(std::string("Python gave no ") + what + " of " + std::to_string(images) + " images");
  }
  const auto* const from = static_cast<const int64_t*>(array.data());
  return {from, from + array.count()};
}

class MaskNode final : public PythonNode {
 public:
  using PythonNode::PythonNode;
  using PythonNode::run;

  ParamSet& params() override { return all_; }
  void plan(NodePlan& plan) const override { mask::plan_masks(plan, patch_.patch); }

  void run(const Call& call, const GroupContext& context) override {
    const auto& batch = *static_cast<const ImageBatch*>(call.object(call.slots[0]));
    auto& out = *static_cast<Masks*>(call.object(call.slots[1]));
    const int grid = mask::grid_of(batch, patch_.patch);
    const int64_t images = context.images * batch.views;
    const std::array<int64_t, 2> sizes{images, grid};
    ask({context.seed, context.stream, context.epoch, context.group, static_cast<uint64_t>(context.step)},
        {Array{.element = Element::i64, .shape = {2}, .elsewhere = sizes.data()}},
        [&](const std::vector<Array>& outputs) { take(outputs, images, grid, context.rng(), out); });
    mask::add_to_ledger(out, context.ledger);
  }

 private:
  /// A map of hidden patches B N, and nothing; or lists of visible and of target patches, B K and B R M.
  void take(const std::vector<Array>& outputs, int64_t images, int grid, const Rng& group, Masks& out) const {
    const int64_t patches = int64_t{grid} * grid;
    mask::start_maps(grid, images, 1, out);
    if (outputs[1].element == Element::none) {
      const Array& map = outputs[0];
      if (map.element != Element::boolean || map.count() != images * patches) throw FatalNodeError("Python gave no map of hidden patches");
      const auto* const from = static_cast<const uint8_t*>(map.data());
      std::copy(from, from + map.count(), out.map.begin());
      return mask::fill_lists(group, patches, description().varies, out);
    }
    out.visible = numbers(outputs[0], 2, images, "visible patches"), out.targets = numbers(outputs[1], 3, images, "target patches");
    require_patches(out.visible, patches), require_patches(out.targets, patches);
    out.visible_count = outputs[0].shape[1], out.regions = outputs[1].shape[1], out.region_size = outputs[1].shape[2];
    if (out.visible_count == 0) throw FatalNodeError("an image has no visible patch left: hide fewer");
    out.map.clear();
  }

  size_t expected_outputs() const override { return 2; }

  mask::PatchParam patch_;
  PatchAndParams all_{patch_, PythonNode::params()};
};

}  // namespace

NodeType mask_type(const std::string& file, const Description& description) {
  NodeType type = described_type(description, Scope::batch);
  type.make = [file, &description] { return std::make_unique<MaskNode>(file, description); };
  const mask::Ports ports;
  type.ports = {{ports.image.name, ports.image.brief, true, false, &type_ops<ImageBatch>()},
                {ports.mask.name, ports.mask.brief, false, false, &type_ops<Masks>()}};
  type.params = document_params(type.make()->params());
  return type;
}

}  // namespace flowrun::python
