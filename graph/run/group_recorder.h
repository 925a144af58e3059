// Groups of equal shapes do the same work on the device, from the first pass of a model to the backward pass. Where the
// device can record work (CUDA graphs), it is recorded once for each shape and then played.
//
// A recording covers a group's nodes that repeat, and the folds that repeat (the backward pass), as far as no other work
// comes between them. They are deferred until the group is delivered, then done in one piece. A recording has records of
// its own: its inputs are copied there before it is played, and the results that other nodes read are handed back.
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "graph/contract/device.h"
#include "graph/run/recording_policy.h"
#include "graph/run/records.h"

namespace flowrun {

/// On the device's thread alone, apart from counts() and why_not().
class GroupRecorder {
 public:
  struct Counts {
    int64_t submitted = 0;  // groups whose work was submitted normally
    int64_t recorded = 0;   // groups whose work was recorded: one of each shape, and one more each time the shape had been dropped
    int64_t played = 0;     // groups
  };
  /// What a group's work depends on in addition to its record.
  struct Work {
    GroupContext context;
    FoldContext fold;
    std::function<void(int node, bool fold)> ended;  // called after each node that was submitted separately
  };

  /// For the group level of a stream, whose device can record.
  GroupRecorder(CheckedPipeline& pipeline, const LevelPlan& plan, DeviceRuntime& device);

  /// Why this pipeline's groups are not recorded, or no longer; empty: they are.
  std::string why_not() const { return refused_.load(std::memory_order_acquire) ? why_not_ : ""; }
  /// Constant over the run: work that is no longer recorded is still done at the end of its group.
  bool defers(int task) const { return active_ && deferred_[static_cast<size_t>(task)]; }
  bool takes(const Fold& fold) const { return active_ && pipeline_.nodes[static_cast<size_t>(fold.node)].type->info.repeats; }
  /// Does the deferred work of a group. True: in one piece; false: node by node. Exceptions of nodes pass through, with the
  /// node's name in front.
  bool run(GroupRecord& group, const Work& work);
  /// Any thread.
  Counts counts() const { return {submitted_.load(), recorded_.load(), played_.load()}; }

 private:
  /// One shape.
  struct Kind {
    std::vector<std::shared_ptr<void>> objects;  // keep what the slots point to
    std::vector<void*> slots;                    // by number, null where the work has none
    std::unique_ptr<Recording> recording;
  };

  void choose_tasks();
  bool choose_folds();
  void choose_results();
  bool is_looked_at(const Work& work) const;
  void refuse(std::string why);
  void refuse_shape(const std::string& key, const Recorded& attempt);
  std::string key_of(GroupRecord& group, const Work& work) const;
  void submit(void* const* slots, void* const* step, const Work& work) const;
  Kind prepare(GroupRecord& group);
  void record(GroupRecord& group, const Work& work, const std::string& key);
  void play(Kind& kind, GroupRecord& group) const;
  void refill(Kind& kind, GroupRecord& group) const;
  void hand_back(Kind& kind, GroupRecord& group) const;
  std::shared_ptr<void> input(int slot, GroupRecord& group);

  CheckedPipeline& pipeline_;
  const LevelPlan& plan_;
  DeviceRuntime& device_;
  RecordingPolicy policy_;
  std::string why_not_;  // set once, before refused_
  std::atomic<bool> refused_{false};
  std::vector<bool> deferred_;  // per task
  bool active_ = false;
  std::vector<int> inputs_;   // slots that the work reads and doesn't make
  std::vector<int> made_;     // slots that it makes
  std::vector<int> results_;  // of these, the ones that folds outside of it read at every step
  std::vector<int> lookers_;  // nodes whose folds read some of them at certain steps only

  std::map<std::string, Kind> kinds_;                         // by shape
  std::map<std::string, std::weak_ptr<void>> shared_inputs_;  // by slot and shape
  std::atomic<int64_t> submitted_{0}, recorded_{0}, played_{0};
};

}  // namespace flowrun
