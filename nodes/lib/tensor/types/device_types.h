// The types that travel between device nodes: tensors on the device, freed when the last reader is done.
#pragma once

#include <vector>

#include "graph/contract/planned.h"
#include "nodes/lib/host/types/host_types.h"
#include "nodes/lib/tensor/device/recording.h"
#include "nodes/lib/tensor/device/side_stream.h"
#include "nodes/lib/tensor/tensor.h"

namespace flowrun {

/// Normalised images, B C H W float. Of pictures with several views B counts the views, those of a picture side by side.
struct DeviceImages {
  static constexpr const char* type_name = "image tensor";
  Tensor images_BCHW;
  int64_t views = 1;
  std::vector<double> mean, std;  // of each channel, as taken off and divided by; empty: not known
  void release() { images_BCHW.reset(); }
  std::string shape() const { return recording::shape(images_BCHW); }
  void refill(const DeviceImages& from) {
    recording::refill(images_BCHW, from.images_BCHW);
    views = from.views, mean = from.mean, std = from.std;
  }
  static void plan(const PlannedGroup& group, Planned& out) {
    out = Planned::of({group.images, 3, group.side, group.side}, "float32", 4);
    out.side = group.side;
  }
};

/// With several masks per image B counts the masks, those of an image side by side. The lists may leave patches out, where masks hide
/// unequally many; `ordered_n` holds all of them.
struct DeviceMasks {
  static constexpr const char* type_name = "mask tensors";
  Tensor visible_BK;    // int64
  Tensor targets_BRM;   // int64
  Tensor ordered_n;     // int64: mask x patches of a picture + patch, those that are hidden first, each part ascending
  int64_t hidden = 0;   // how many of these are hidden
  int64_t repeats = 1;  // masks of an image
  int64_t grid = 0;     // patches per side that the indices count in
  Tensor hidden_n() const { return ordered_n.narrow(0, 0, hidden); }
  Tensor visible_n() const { return ordered_n.narrow(0, hidden, ordered_n.size(0) - hidden); }
  /// The masks of a group, on their way to the device.
  static DeviceMasks sent(const Masks& in, at::Device device);
  /// B N, true where a patch is hidden.
  Tensor hidden_BN() const;
  void release() { visible_BK.reset(), targets_BRM.reset(), ordered_n.reset(); }
  std::string shape() const;
  void refill(const DeviceMasks& from) {
    recording::refill(visible_BK, from.visible_BK), recording::refill(targets_BRM, from.targets_BRM);
    recording::refill(ordered_n, from.ordered_n);
    hidden = from.hidden, repeats = from.repeats, grid = from.grid;
  }
  static void plan(const PlannedGroup& group, Planned& out) { Masks::plan(group, out); }
};

/// The smallest and the largest class among labels, as read on the host, so that no node has to ask the device.
struct ClassRange {
  bool known = false;
  int64_t least = 0, most = -1;  // none at all: most < least

  /// Reads the labels if the range isn't known, for which the host waits; `ignored` is not a class.
  ClassRange of(const Tensor& labels, int64_t ignored = INT64_MIN) const;
};

struct DeviceLabels {
  static constexpr const char* type_name = "label tensor";
  Tensor labels_B;  // int64
  ClassRange range;
  /// The first `images` labels of a group, on their way to the device.
  static DeviceLabels sent(const LabelBatch& in, int64_t images, at::Device device);
  void release() { labels_B.reset(); }
  std::string shape() const { return recording::shape(labels_B); }
  static void plan(const PlannedGroup& group, Planned& out) { out = Planned::of({group.images}, "int64", 8); }
  void refill(const DeviceLabels& from) {
    recording::refill(labels_B, from.labels_B);
    range = from.range;
  }
};

struct DeviceLabelMaps {
  static constexpr const char* type_name = "label map tensor";
  Tensor maps_BHW;   // u8 class of each pixel, 255 where there is none
  ClassRange range;  // without 255
  void release() { maps_BHW.reset(); }
  std::string shape() const { return recording::shape(maps_BHW); }
  static void plan(const PlannedGroup& group, Planned& out) { out = Planned::of({group.images, group.side, group.side}, "uint8", 1); }
  void refill(const DeviceLabelMaps& from) {
    recording::refill(maps_BHW, from.maps_BHW);
    range = from.range;
  }
};

/// The target of the softmax of the scores: rows sum to 1.
struct SoftLabels {
  static constexpr const char* type_name = "soft labels";
  Tensor values_BC;
  Tensor weight_B;    // float, how much the loss of each row counts; undefined: all alike
  int64_t views = 1;  // of a picture: B counts the views, those of a picture side by side
  void release() { values_BC.reset(), weight_B.reset(); }
  std::string shape() const { return recording::shape(values_BC) + ", " + recording::shape(weight_B); }
  void refill(const SoftLabels& from) {
    recording::refill(values_BC, from.values_BC), recording::refill(weight_B, from.weight_B);
    views = from.views;
  }
};

/// The student's view of the visible patches, after its final norm.
struct VisibleTokens {
  static constexpr const char* type_name = "visible tokens";
  Tensor cls_B1D;    // undefined without a class token
  Tensor registers;  // [B, registers, D]; undefined without registers
  Tensor patch_BKD;
  Tensor visible_BK;
  std::vector<Tensor> maps_BSD;  // raw output of each block, all tokens; only if asked for
  void release() { cls_B1D.reset(), registers.reset(), patch_BKD.reset(), visible_BK.reset(), maps_BSD.clear(); }
};

/// B R M O; the last axis is made of `parts` equal slices (one per target layer).
struct Prediction {
  static constexpr const char* type_name = "prediction";
  Tensor values;
  std::vector<int64_t> parts;  // block numbers, empty when the model was not made for blocks
  void release() { values.reset(); }
};
struct Target {
  static constexpr const char* type_name = "target";
  Tensor values;               // may still be computed, on another CUDA stream
  std::vector<int64_t> parts;  // names of the slices: block numbers
  Arrival arrival;
  /// The values, safe to read on the current CUDA stream.
  const Tensor& ready() const {
    arrival.wait(values);
    return values;
  }
  void release() { values.reset(), arrival = {}; }
};

/// A scalar to minimise, with its gradient history; and the same per slice, without.
struct Loss {
  static constexpr const char* type_name = "loss";
  Tensor value;           // what is trained on
  Tensor shown;           // what reports show, where that is another number; undefined: value
  bool has_value = true;  // false: it has a gradient, but its value is 0 and meaningless
  Tensor per_part;
  std::vector<int64_t> parts;
  const Tensor& reported() const { return shown.defined() ? shown : value; }
  void release() { value.reset(), shown.reset(), per_part.reset(); }
  static void plan(const PlannedGroup&, Planned& out) { out = Planned::of({1}, "float32", 4); }
};

/// All tokens of frozen images after the final norm, in the encoder's order: class, registers, patches row by row.
struct EvalTokens {
  static constexpr const char* type_name = "frozen tokens";
  Tensor tokens_BSD;   // float
  int64_t prefix = 0;  // class token and registers
  int64_t grid = 0;    // patches of a side
  Tensor labels_B;     // undefined without labels
  Tensor maps_BHW;     // u8 class of each pixel, 255 where there is none; undefined without label maps
  ClassRange label_range, map_range;
  Tensor patches_BND() const { return tokens_BSD.narrow(1, prefix, tokens_BSD.size(1) - prefix); }
  void release() { tokens_BSD.reset(), labels_B.reset(), maps_BHW.reset(); }
};

/// Predictions of H heads on frozen representations, for images with known truth.
struct Predictions {
  static constexpr const char* type_name = "predictions";
  Tensor named_BH;  // int64 classes of the images
  Tensor labels_B;
  Tensor confusion_HCC;  // of segmenting heads instead: pixels by truth and by predicted class
  void release() { named_BH.reset(), labels_B.reset(), confusion_HCC.reset(); }
};

/// Frozen representations, B D float, with their labels.
struct Features {
  static constexpr const char* type_name = "features";
  Tensor values_BD;
  Tensor labels_B;  // undefined without labels
  ClassRange range;
  void release() { values_BD.reset(), labels_B.reset(); }
};

}  // namespace flowrun
