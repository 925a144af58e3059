// The images on which evaluations choose their hyper-parameters.
#pragma once

#include <string>

#include "graph/contract/params.h"
#include "nodes/lib/tensor/tensor.h"

namespace flowrun::eval {

/// Row indices, both ascending: together all rows, none in both.
struct HeldOut {
  Tensor rest, held;
};

/// Sets round(share * rows) of the rows aside, at least one and never all. The draw depends on the seed and the number
/// of rows alone, so all evaluations of the same features hold out the same images, on every machine. Host tensors.
HeldOut hold_out(int64_t rows, double share, uint64_t seed);

/// The parameters of a node that chooses.
struct Selection {
  double holdout = 0.1;
  std::string on = "holdout";

  void describe(auto& param) {
    param("holdout", holdout, Range{1e-3, 0.9}, "Share of the training images that is set aside to choose on.");
    param("select_on", on, choices(),
          "holdout: choose on training images set aside, and use test once. test: choose on test, as papers that report the best head do.");
  }
  static const Choices& choices() {
    static const Choices choices = {"holdout", "test"};
    return choices;
  }
  bool on_test() const { return on == "test"; }
};

/// The rows to fit on and those to choose on.
struct SelectionRows {
  Tensor fit_ND, fit_labels, select_ND, select_labels;
};
SelectionRows selection_rows(const Selection& selection, uint64_t seed, const Tensor& train_ND, const Tensor& train_labels, const Tensor& test_ND,
                             const Tensor& test_labels);

}  // namespace flowrun::eval
