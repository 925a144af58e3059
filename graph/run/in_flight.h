// What a segment is about at one moment, for those who ask from outside: nothing here is kept while nobody asks.
#pragma once

#include <cstdint>
#include <vector>

namespace flowrun {

struct InFlight {
  /// A group on its way: how many of its samples have arrived.
  struct Group {
    int64_t step, group, images, arrived;
  };
  /// What the device could not run yet, and the nodes behind which it has to stay.
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
