// Shapes and costs that nodes and types compute from sizes alone: for the check of a pipeline, and for `flowrun plan`.
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
  double hidden = 0;   ///< all that are hidden, targets or not
  double tokens() const { return regions * patches; }
};

/// Sizes of one group of the training stream, and of what a node works on.
struct PlannedGroup {
  double images = 0;       // rows of images: samples times views
  double step = 0;         // samples of a step, over all ranks
  double views = 1;        // of a sample
  double rows = 0;         // images times masks of an image
  double repeats = 1;      // masks of an image
  MaskCounts masks;        // mean over masks that were drawn
  bool has_masks = false;  // any node draws masks
  double side = 0;         // of the pictures that come in, or that the node makes, pixels; 0: not known
  double file_bytes = -1;  // of an encoded picture; -1: not known
  int element = 4;         // bytes of a number in products
  bool per_rank = false;   // run.pass "rank"
  const char* product() const { return element == 2 ? "bfloat16" : "float32"; }
};

/// A value before it is there. Sizes of 0 are not known. What a node says nothing of, an output takes from the node's inputs.
struct Planned {
  std::string text;                    // "256 x 3 x 224 x 224 float32"
  double bytes = -1;                   // -1: not known beforehand
  double held = 1;                     // how many of its size are there at once, with what its readers make of it
  double views = 0;                    // of a picture
  double side = 0;                     // of pictures
  double grid = 0;                     // patches of a side, of masks and tokens
  double width = 0;                    // of the last axis of tokens, vectors, predictions and targets
  double rows = 0;                     // of the first axis of tokens and vectors
  std::vector<int64_t> parts;          // blocks that lie side by side on that axis
  double class_token = 0, prefix = 0;  // tokens before the patches: the class token, and with registers
  bool noised = false;                 // pictures with noise of a time, and tokens of such
  bool certain = true;                 // false: a node that may change sizes lies between, and does not tell

  /// "256 x 3 x 224 x 224 float32" and what it takes.
  static Planned of(std::initializer_list<double> axes, const char* type, double each);
  static Planned both(const std::string& a_name, const Planned& a, const std::string& b_name, const Planned& b);
};

/// A count as text: without decimals where it has none.
std::string count_text(double value);

/// Handed to a node's plan(): it says which models it runs, which shapes of outputs follow from those, and what can't work.
/// Of outputs that it says nothing of, their types tell the shapes (`T::plan`).
class NodePlan {
 public:
  PlannedGroup group;
  std::map<std::string, Planned> in;                     // by port; what isn't connected is missing
  std::map<std::string, Planned> out;                    // by port
  const std::vector<std::string>* read_ports = nullptr;  // its outputs that other nodes read; null: unknown
  double views = 0;                                      // of a node that makes several views of a picture: how many
  double side = 0;                                       // of a node that makes pictures of one size: their side, pixels
  double gathered = 0;                                   // of a whole node: bytes of a group that every rank gets
  double states = 2;                                     // of an optimizer: numbers that it keeps for each trained parameter

  struct Pass {
    std::string model;
    bool gradient = true;                         // where the model trains, a backward pass follows
    std::function<Cost(const MaskCounts&)> cost;  // of an image; models must outlive it
  };
  std::vector<Pass> passes;

  struct Fault {
    std::string at, message, hint;
  };
  std::vector<Fault> faults;

  /// Whether other nodes read the output; true where it is unknown.
  bool reads(const std::string& port) const;
  /// The value at an input if its sizes are certain; otherwise an empty one.
  Planned known(const std::string& input) const;
  /// The node can't work as it is. `at` names an input or a parameter; `hint` says how to mend it.
  void fault(std::string at, std::string message, std::string hint = "");
  /// A fault at `input` if its width is known and is not `width`, which `name` takes: "the width of vectors is 64, but head takes 32".
  void require_width(const std::string& input, int64_t width, const std::string& name, const std::string& hint);
  /// A fault at input `b` if both are known and differ: "what of a is 3, what of b 4".
  void require_equal(const char* what, const std::string& a, double Planned::*size, const std::string& b, const std::string& hint = "");
};

}  // namespace flowrun
