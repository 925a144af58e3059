// Shapes and costs that nodes and types compute from sizes alone, for `flowrun plan`.
#pragma once

#include <cstdint>
#include <functional>
#include <initializer_list>
#include <map>
#include <string>
#include <vector>

namespace flowrun {

/// Of one image (of one row, where images have several masks). Counts may be means over masks, so they are not
/// integers.
///
/// Counted are the products of the linear layers and of the attention, with two operations for a multiplication and its
/// addition. Norms, GELU, softmax and whatever moves data are not: on a GPU they take time, but no products.
struct Cost {
  double flops = 0;    ///< of the forward pass; the backward pass has twice as many
  double saved = 0;    ///< bytes that a forward pass keeps for its backward pass
  double working = 0;  ///< bytes besides, at its widest place
  Cost& operator+=(const Cost& other);
  Cost times(double count) const { return {flops * count, saved * count, working * count}; }
};

/// The patches of an image that masks leave.
struct MaskCounts {
  double visible = 0;  ///< K
  double regions = 0;  ///< R
  double patches = 0;  ///< M
  double tokens() const { return regions * patches; }
};

/// Sizes of one group of the training stream, and of what a node works on.
struct PlannedGroup {
  double images = 0;       // rows of images: samples times views
  double views = 1;        // of a sample
  double rows = 0;         // images times masks of an image
  double repeats = 1;      // masks of an image
  MaskCounts masks;        // mean over masks that were drawn
  bool has_masks = false;  // any node draws masks
  double side = 0;         // of the pictures that come in, or that the node makes, pixels; 0: not known
  double file_bytes = -1;  // of an encoded picture; -1: not known
  int element = 4;         // bytes of a number in products
  const char* product() const { return element == 2 ? "bfloat16" : "float32"; }
};

/// A value before it is there.
struct Planned {
  std::string text;                    // "256 x 3 x 224 x 224 float32"
  double bytes = -1;                   // -1: not known beforehand
  double held = 1;                     // how many of its size are there at once, with what its readers make of it
  double side = 0;                     // of pictures
  double width = 0;                    // of the last axis of tokens and predictions
  double class_token = 0, prefix = 0;  // tokens before the patches: the class token, and with registers

  /// "256 x 3 x 224 x 224 float32" and what it takes.
  static Planned of(std::initializer_list<double> axes, const char* type, double each);
  static Planned both(const std::string& a_name, const Planned& a, const std::string& b_name, const Planned& b);
};

/// A count as text: without decimals where it has none.
std::string count_text(double value);

/// Handed to a node's plan(): it says which models it runs, and the shapes of outputs that follow from those. Outputs that
/// it says nothing of are their types' matter (`T::plan`).
class NodePlan {
 public:
  PlannedGroup group;
  std::map<std::string, Planned> in;   // by port; what isn't connected is missing
  std::map<std::string, Planned> out;  // by port
  double views = 0;                    // of a node that makes several views of a picture: how many

  struct Pass {
    std::string model;
    bool gradient = true;                         // where the model trains, a backward pass follows
    std::function<Cost(const MaskCounts&)> cost;  // of an image; models must outlive it
  };
  std::vector<Pass> passes;
};

}  // namespace flowrun
