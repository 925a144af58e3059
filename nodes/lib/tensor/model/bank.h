// Rows of two networks for each sample of the source: state of a method, not a model that computes.
#pragma once

#include "nodes/lib/tensor/model/module.h"
#include "nodes/lib/tensor/model/per_sample.h"

namespace flowrun::model {

/// Buffers student and teacher [M, d] with a row for each sample, and normaliser [2], of the student's and the teacher's scores, 0 until it is
/// set. It has no parameters; passes that read it see the values of the step before.
class Bank final : public Module, public PerSample {
 public:
  static constexpr const char* kind = "bank";

  /// The first rows are uniform within sqrt(3 / d), so their mean squared length is 1, keyed by `seed`. Throws std::invalid_argument for a
  /// size below 1.
  Bank(int64_t samples, int64_t width, uint64_t seed);

  const Tensor& student_Md() const { return buffers_[0]; }
  const Tensor& teacher_Md() const { return buffers_[1]; }
  const Tensor& normaliser_2() const { return buffers_[2]; }
  int64_t samples() const override { return student_Md().size(0); }
  int64_t width() const { return student_Md().size(1); }
  double table_bytes() const override { return 2 * 4 * static_cast<double>(samples()) * static_cast<double>(width()); }

  struct Rows {
    Tensor ids_n, student_nd, teacher_nd;
  };
  /// A sample's row = momentum x row + (1 - momentum) x the new one, at length 1. Device's thread, without gradient.
  void move(const Rows& rows, double momentum);
  /// Sets the normaliser if it is not set. Device's thread, without gradient.
  void normalise_by(const Tensor& normaliser_2);

 private:
  std::unique_ptr<Module> fresh() const override { return std::make_unique<Bank>(samples(), width(), 0); }
};

}  // namespace flowrun::model
