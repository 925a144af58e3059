// Rows of features: embeddings, projections, scores of prototypes.
#pragma once

#include "graph/contract/planned.h"
#include "nodes/lib/tensor/device/recording.h"
#include "nodes/lib/tensor/tensor.h"

namespace flowrun {

/// One row for each view of a picture (row = picture * views + view), or, where image_n is defined, for chosen tokens of images.
/// With a gradient history if the pass that made them records one.
struct Vectors {
  static constexpr const char* type_name = "vectors";
  Tensor values_nD;    // float
  int64_t views = 1;   // of a picture
  Tensor image_n;      // int64: the image of each row, ascending; undefined: one row for each image
  int64_t images = 0;  // with views
  /// Rows of `width` numbers.
  static Planned planned(double rows, double width) {
    Planned out = Planned::of({rows, width}, "float32", 4);
    out.width = width, out.rows = rows;
    return out;
  }
  void release() { values_nD.reset(), image_n.reset(); }
  std::string shape() const { return recording::shape(values_nD) + ", " + recording::shape(image_n); }
  void refill(const Vectors& from) {
    recording::refill(values_nD, from.values_nD), recording::refill(image_n, from.image_n);
    views = from.views, images = from.images;
  }
};

}  // namespace flowrun
