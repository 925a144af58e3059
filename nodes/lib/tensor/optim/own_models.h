// Several optimizers in one run: each back-propagates its loss through models of its own.
#pragma once

#include <string>
#include <vector>

#include "nodes/lib/tensor/tensor.h"

namespace flowrun::train {

/// The parameters that one optimizer trains, known to the others of its run while it lives. On the device's thread.
class OwnModels {
 public:
  /// `run` tells runs apart; `node` and `names` are for messages.
  OwnModels(const void* run, std::string node, std::vector<std::string> names, std::vector<Tensor> values);
  ~OwnModels();
  OwnModels(const OwnModels&) = delete;
  OwnModels& operator=(const OwnModels&) = delete;

  /// Call before and after the first backward pass: throws NodeError if it changed the gradient of a parameter that another optimizer
  /// trains, which would add up what belongs to two losses.
  void before_pass();
  void after_pass() const;

 private:
  struct Seen {
    const void* gradient;
    int64_t version;
    bool operator==(const Seen&) const = default;
  };
  static Seen seen(const Tensor& value);

  const void* run_;
  std::string node_;
  std::vector<std::string> names_;
  std::vector<Tensor> values_;
  std::vector<std::vector<Seen>> others_;  // by optimizer, then parameter
};

}  // namespace flowrun::train
