// The places of a sample of a run's source in an epoch.
#pragma once

#include "tools/app/replay/past_run.h"

namespace flowrun::app {

/// The index of a sample, given by its index or by the key that its source gives it. Throws PipelineError.
uint64_t find_sample(const CheckedNode& source, const std::string& text);

/// One place of a sample.
struct Use {
  uint64_t position;
  uint32_t attempt;  // 0: in its own place; else as the substitute of that number
  uint32_t stood;    // the attempt that stayed: above `attempt` the sample failed
  bool failed() const { return attempt < stood; }
};

/// The order of an epoch, with the substitutes that the run needed.
class Places {
 public:
  Places(const RepeatedRun& again, const PastRun& past, uint64_t epoch);

  /// The sample tried there after that many failures.
  uint64_t at(uint64_t position, uint32_t attempt) const;
  /// All places of a sample, its own first. Throws PipelineError when it has none in this epoch.
  std::vector<Use> uses(uint64_t sample) const;

 private:
  uint64_t samples() const { return again_.source().node->size(); }

  const RepeatedRun& again_;
  const PastRun& past_;
  uint64_t epoch_;
  Permutation order_;
};

}  // namespace flowrun::app
