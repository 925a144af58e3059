// Access to the outputs of nodes, for examining a run afterwards.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <utility>

#include "graph/run/records.h"

namespace flowrun {

/// A source, sample or batch node has run.
struct Tapped {
  int node;
  int level;           // sample_level or group_level
  const Place& place;  // of the sample, or of the group with its first sample
  uint64_t sample;     // index in the source; 0 of a group
  int64_t images;      // samples in the group
  const Call& call;    // its objects: valid during the call of the tap
  uint64_t ticks;      // duration
};

/// Called by the thread that ran the node, before anything reads the outputs; several threads at once. Must not throw.
using Tap = std::function<void(const Tapped&)>;

/// Epoch and position of places whose samples failed: how often, so which substitute stands there.
using Replaced = std::map<std::pair<uint64_t, uint64_t>, uint32_t>;

}  // namespace flowrun
