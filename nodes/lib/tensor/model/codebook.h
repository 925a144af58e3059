// Codes of rows of values: centres that k-means fits, a tokenizer of patches.
#pragma once

#include "graph/contract/planned.h"
#include "nodes/lib/tensor/model/module.h"

namespace flowrun::model {

/// Two buffers: centers [K, F] float32, and counts [K] int64 of the rows that each stands for, 0 at first. The first centres are random
/// normal numbers, a codebook for standardised values (as random-projection tokenizers have it); k-means replaces them by rows of the data.
/// No parameters; passes that read it see the value of the step before.
class Codebook final : public Module {
 public:
  static constexpr const char* kind = "codebook";

  /// Throws std::invalid_argument for less than one code or value.
  Codebook(int64_t codes, int64_t width, uint64_t seed);

  int64_t codes() const { return buffers_[0].size(0); }
  int64_t width() const { return buffers_[0].size(1); }
  const Tensor& centers_KF() const { return buffers_[0]; }

  /// The nearest centre of each row, [n] int64; of several the first. values_nF float, in parts of bounded memory, without gradient.
  /// Throws std::invalid_argument for another width.
  Tensor nearest(const Tensor& values_nF) const;

  /// Products of nearest() for each of `images` images, whose rows are those of a planned target.
  Cost cost_of(const Planned& target, double images) const;

  /// Mini-batch k-means (Sculley 2010): each centre moves to the mean of all rows that it ever stood for. sums_KF float64 and counts_K int64
  /// are those of a step. Centres that never stood for a row are put on one of `some_nF`, evenly spaced. Device's thread.
  void move(const Tensor& sums_KF, const Tensor& counts_K, const Tensor& some_nF);

 private:
  std::unique_ptr<Module> fresh() const override { return std::make_unique<Codebook>(codes(), width(), 0); }
};

}  // namespace flowrun::model
