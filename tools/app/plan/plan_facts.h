// The facts that a plan needs about a pipeline: its models are opened without values, its masks drawn, its data
// inspected.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "graph/check/entries.h"
#include "graph/contract/planned.h"
#include "tools/app/draw/masks.h"
#include "tools/app/plan/plan.h"

namespace flowrun::app {

struct PlannedModel {
  std::string name, type;
  int64_t parameters = 0, trained = 0;
};

/// A device node of the training stream that runs a model.
struct PlannedPass {
  std::string node, model;
  bool trained = false;  // a backward pass follows
  double parameters = 0;
  double views = 1;                  // of a picture
  const MaskSizes* masks = nullptr;  // of the masks that come in
  /// Counts of one image.
  std::function<Cost(const MaskCounts&)> cost;

  /// Mean over the drawn masks: operations of a picture, forward.
  double forward() const;
};

/// An output of a node, for one group; of sample nodes for one image.
struct PlannedPort {
  std::string node, port, type, shape;
  double bytes = -1;  // -1: not known beforehand
  double held = 1;    // how many of its size are there at once
  bool on_device = false;
};

struct PlanFacts {
  /// `precision`: used if the pipeline leaves it to the device.
  PlanFacts(const PlanArgs& args, const std::string& precision);

  CheckedPipeline pipeline;
  std::vector<std::unique_ptr<Resource>> resources;
  std::string precision;
  int element = 4;  // bytes of a number in products
  Grouping grouping{};
  std::string stack, source;
  int64_t images = 0;
  std::string images_from;  // "data", "stated"
  bool reads_storage = false;
  std::optional<double> file_bytes;  // mean of some
  int64_t steps_per_epoch = 0, steps = 0;
  std::vector<PlannedModel> models;
  std::vector<PlannedPass> passes;
  std::vector<PlannedPort> ports;
  std::string mask_node;                      // the last one; empty: none
  MaskSizes masks;                            // its masks: at least one group
  std::map<std::string, MaskSizes> masks_of;  // of each mask node
  std::vector<int64_t> trained_sizes;         // of the trained parameters, one by one
  double states = 0;                          // numbers that optimizers keep of each
  std::string whole;                          // the first node that waits for all groups of a step; empty: there is none
  double gathered = 0;                        // bytes of a group that every rank gets before
  int side = 0;
  bool sharded = false;
  std::vector<std::string> notes;  // what is not counted

  /// Mean over the drawn masks: operations of an image, forward; and those with a backward pass.
  double forward() const { return mean_flops(false); }
  double forward_trained() const { return mean_flops(true); }
  /// Bytes that a group keeps at most, between its first node and the end of its backward pass.
  double activations() const;
  int64_t trained() const;
  int64_t parameters() const;
  /// The largest number of trained parameters whose states one rank keeps.
  int64_t kept(int64_t world) const;

 private:
  void open_models();
  void open_source(const PlanArgs& args);
  void draw();
  void ask_nodes();
  PlannedGroup group(const MaskSizes& of) const;
  double mean_flops(bool trained_only) const;
  /// Of the mask node that a node is, or that its masks come from; else of the last one.
  const MaskSizes& masks_at(int node) const;
  const MaskSizes* masks_before(int node) const;
};

}  // namespace flowrun::app
