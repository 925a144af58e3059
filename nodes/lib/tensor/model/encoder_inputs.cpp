#include "nodes/lib/tensor/model/encoder_inputs.h"

#include <algorithm>

#include "nodes/lib/tensor/model/staged.h"

namespace flowrun::model {
namespace {

std::string square(double side) { return count_text(side) + "x" + count_text(side); }

}  // namespace

void check_images(NodePlan& plan, const Encoder& encoder, const std::string& name) {
  const auto* const staged = dynamic_cast<const Staged*>(&encoder);
  if (staged != nullptr && staged->branches_from().stage > 0) {
    plan.fault("image", name + " has no stem, so it takes maps, not pictures", "give it to encode.maps, with the maps of another network");
  }
  if (encoder.takes_time() && plan.known("image").noised && !plan.in.contains("time")) {
    plan.fault("image", "pictures with noise come in without its time, which " + name + " takes",
               "connect \"time\" of the node that adds the noise, or the pictures without noise");
  }
  const double side = plan.known("image").side;
  const std::vector<int64_t> taken = encoder.sides();
  if (side == 0 || taken.empty() || std::find(taken.begin(), taken.end(), static_cast<int64_t>(side)) != taken.end()) return;
  std::string sides;
  for (const int64_t one : taken) sides += (sides.empty() ? "" : " or ") + std::to_string(one);
  plan.fault("image", "pictures of " + count_text(side) + " pixels come in, but " + name + " is made for " + sides,
             "resize the pictures to " + std::to_string(taken.front()) + ", or make the model for pictures of " + count_text(side));
}

void check_grid(NodePlan& plan, int64_t grid, const std::string& name) {
  plan.require_equal("number of views", "image", &Planned::views, "mask", "draw the masks from the batch of these images");
  const double masks = plan.known("mask").grid;
  if (masks == 0 || masks == static_cast<double>(grid) || !plan.faults.empty()) return;  // pictures of another size have another grid
  plan.fault("mask", "the masks are for a grid of " + square(masks) + " patches, but " + name + " has " + square(static_cast<double>(grid)),
             "give both the same \"patch\", and pictures of one size");
}

double grid_of_side(const Encoder& encoder, double side) {
  const EncoderShape shape = encoder.shape();
  return side == 0 || shape.image == 0 ? static_cast<double>(shape.grid) : side * static_cast<double>(shape.grid) / static_cast<double>(shape.image);
}

void check_hidden(NodePlan& plan, const Encoder& encoder, const std::string& name) {
  if (!encoder.takes_hidden()) {
    plan.fault("mask", name + " has no mask token for hidden patches", "set \"mask_token\" of " + name + " to true, or connect no mask");
  }
  check_grid(plan, static_cast<int64_t>(grid_of_side(encoder, plan.known("image").side)), name);
}

void check_pool(NodePlan& plan, const Encoder& encoder, const std::string& pool, const std::string& name) {
  if (pool == "mean" || encoder.shape().class_token) return;
  plan.fault("pool", "pool is " + pool + ", but " + name + " has no class token", "set pool to \"mean\", or \"class_token\" of " + name + " to true");
}

void check_blocks(NodePlan& plan, const Encoder& encoder, const std::vector<int64_t>& blocks, const std::string& name) {
  const int64_t depth = encoder.shape().depth;
  if (blocks.empty() || blocks.back() <= depth) return;
  plan.fault("blocks", "block " + std::to_string(blocks.back()) + " is asked for, but " + name + " has " + std::to_string(depth));
}

}  // namespace flowrun::model
