// The bottleneck of a run, from the engine's statistics over a period of time.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

namespace flowrun::app {

/// Shares of the time between two looks at Engine::stats_json(). A node's is of its executor's time: all data threads
/// for host nodes, the device's thread for the others.
struct Limits {
  struct Side {
    double busy = 0;
    std::string node;  // with the largest share; empty: none was called
    double share = 0;
  };
  Side data, device;
  double starved = 0;  // the device had nothing to do
  int threads = 1;     // for data

  /// The side that limits, its largest node, and the waiting of the other side: "data threads, most of it fault (97 %);
  /// the device waits 81 %".
  std::string text() const;
};

/// `begin` may be null: from the beginning of the run.
Limits limits_between(const nlohmann::ordered_json& begin, const nlohmann::ordered_json& end);

}  // namespace flowrun::app
