// Keeps the outputs of nodes for one sample while its step is repeated.
#pragma once

#include <map>
#include <mutex>
#include <vector>

#include "graph/contract/shown.h"
#include "tools/app/replay/past_run.h"

namespace flowrun::app {

class SampleCollector {
 public:
  struct Output {
    const PortDoc* port;
    Shown value;
    bool tells = false;  // the type tells something of itself
  };
  struct Seen {
    double ms;  // of a batch node: for the whole group
    std::vector<Output> outputs;
  };

  /// From here on keeps the outputs for `sample` at this position of the epoch, and for its group, of the nodes in
  /// `shown`.
  void watch(const RepeatedRun& again, std::vector<bool> shown, uint64_t sample, uint64_t position);
  void look_away() { watching_ = false; }
  /// The tap: any thread.
  void see(const Tapped& tapped);
  /// The group's outputs belong to another sample.
  void drop_groups();

  /// The outputs by node, in the pipeline's order. Call it once the repetition is over.
  const std::map<int, Seen>& seen() const { return seen_; }
  uint64_t in_group() const { return in_group_; }

 private:
  const RepeatedRun* again_ = nullptr;
  bool watching_ = false;
  std::vector<bool> shown_;
  uint64_t sample_ = 0, position_ = 0, in_group_ = 0;
  std::mutex mutex_;
  std::map<int, Seen> seen_;
};

}  // namespace flowrun::app
