// The state of a segment at one moment, collected only when somebody asks for it.
#pragma once

#include <cstdint>
#include <vector>

namespace flowrun {

struct InFlight {
  /// A group in flight: how many of its samples have arrived.
  struct Group {
    int64_t step, group, images, arrived;
  };
  /// A task that the device could not run yet, and the nodes that it waits for.
  struct Queued {
    int node;
    int64_t step;
    uint64_t since;  // ticks
    std::vector<int> behind;
  };
  std::vector<Group> groups;  // in order
  std::vector<Queued> device;
  int64_t parked = 0;  // lanes that wait for a group's slot
};

}  // namespace flowrun
