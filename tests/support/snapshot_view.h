// A run as step nodes see it, for tests of such nodes by themselves.
#pragma once

#include <utility>
#include <vector>

#include "graph/contract/context.h"

namespace flowrun::test {

/// Has a snapshot, and neither samples nor a clock.
class SnapshotView final : public RunView {
 public:
  explicit SnapshotView(Snapshot snapshot = {}) : snapshot_(std::move(snapshot)) {}
  Snapshot snapshot() const override { return snapshot_; }
  std::vector<StepSample> samples(int64_t) const override { return {}; }
  double seconds() const override { return 0; }
  double own_seconds() const override { return 0; }

 private:
  Snapshot snapshot_;
};

}  // namespace flowrun::test
