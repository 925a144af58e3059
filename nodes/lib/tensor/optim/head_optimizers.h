// One AdamW for each head of a probe, whose parameters lie in one list.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "nodes/lib/tensor/optim/adamw_math.h"

namespace flowrun::train {

/// Each head has a learning rate and a decay of its own. Thread rule as for AdamW.
class HeadOptimizers {
 public:
  /// The next head: the parameters at `indices` of a list that outlives this.
  void add(model::Parameters& parameters, std::vector<size_t> indices, const AdamWOptions& options);

  /// One update of every head, with one learning rate and one decay for each; the gradients are gone afterwards.
  void step(const std::vector<double>& lrs, const std::vector<double>& weight_decays);

  /// As AdamW's, the names with "head0.", "head1.", … in front.
  std::vector<std::pair<std::string, Tensor>> state() const;
  void restore(std::string_view name, const Tensor& value);

 private:
  struct Head {
    model::Parameters* parameters;
    std::vector<size_t> indices;
    AdamW optimizer;
  };
  std::vector<Head> heads_;
};

}  // namespace flowrun::train
