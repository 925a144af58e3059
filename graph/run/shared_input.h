// Makes the input of several runs once. One run, the leader, makes groups; the others copy them into their own records
// and continue as if they had made them. Groups are handed over in order and one at a time: the leader goes on when all
// runs that want a group have copied it, so the slowest sets the pace and no memory grows.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

#include "graph/run/records.h"

namespace flowrun {

class InputTaker;

/// Connects one leader with its takers, which are made before the leader runs and end before this object.
class SharedInput {
 public:
  struct Steps {
    int64_t first, last;
  };

  SharedInput() = default;
  SharedInput(const SharedInput&) = delete;
  SharedInput& operator=(const SharedInput&) = delete;

  /// The leader is open; call before any taker is. The arguments must live as long as this object.
  void lead(const CheckedPipeline& pipeline, const Plan& plan, uint64_t samples);
  /// Blocks until every taker has joined or left. Returns the steps that the remaining takers want; none: no taker
  /// remains.
  std::optional<Steps> wait_for_takers();
  /// Called on the leader's device thread when a group is complete. Blocks until all takers that want it have it;
  /// false: no taker wants more.
  bool offer(GroupRecord& group, const Segment& segment);
  /// The leader has ended. Takers that want more fail at that place with the leader's failure, whose index counts over
  /// all steps of the run. Only the first call counts.
  void end(std::optional<Failure> failure);

 private:
  friend class InputTaker;

  const CheckedPipeline* pipeline_ = nullptr;
  const Plan* plan_ = nullptr;
  uint64_t samples_ = 0;

  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<InputTaker*> takers_;
  GroupRecord* offered_ = nullptr;
  int64_t offered_group_ = -1;  // over all steps of the run
  bool ended_ = false;
  std::optional<Failure> failure_;
};

/// The side of one taker. Its engine joins, its stream takes groups. Its owner must end it with the run, even if that
/// fails, since the others wait for it until then.
class InputTaker {
 public:
  explicit InputTaker(SharedInput& input);
  ~InputTaker();
  InputTaker(const InputTaker&) = delete;
  InputTaker& operator=(const InputTaker&) = delete;

  /// The run is open, and wants these steps. Throws PipelineError when it can't use the leader's groups: all nodes up to
  /// the stack must equal the leader's, and types that travel from there on must be copyable.
  void join(const CheckedPipeline& pipeline, const Plan& plan, uint64_t samples, SharedInput::Steps steps);
  /// No more groups are wanted.
  void leave();
  /// Whether the leader runs the node.
  bool makes(int node) const { return leaders_[static_cast<size_t>(node)] >= 0; }

  // The stream, segment by segment. `take` is called when a group is there and has a record, with its index in the segment,
  // from any thread, and must only start what calls copy(); `fail` when there will be no such group. Neither is called
  // once end() has returned.
  void begin(const Segment& segment, std::function<void(int64_t)> take, std::function<void(Failure)> fail);
  /// There are records for all groups before this one.
  void open(int64_t group);
  /// Fills the record with slots, ledgers and bad samples of all nodes that the leader ran.
  void copy(GroupRecord& to);
  void end();

 private:
  friend class SharedInput;

  bool wants(int64_t group) const { return !gone_ && next_ == group && next_ < end_; }
  void look();  // under the mutex

  SharedInput& input_;
  // Slots of the training stream's groups: the leader's, and this run's.
  std::vector<int> leaders_;  // per node: the leader's, or -1
  std::vector<std::pair<int, int>> slots_, tasks_;
  const LevelPlan* level_ = nullptr;
  int64_t samples_per_group_ = 0, groups_per_step_ = 1;

  // Under the mutex. Groups count over all steps of the run.
  bool joined_ = false, gone_ = false, copying_ = false;
  int64_t next_ = 0, end_ = 0;    // wanted: [next, end)
  int64_t first_ = 0, open_ = 0;  // of the segment; up to where there are records
  std::function<void(int64_t)> take_;
  std::function<void(Failure)> fail_;
};

}  // namespace flowrun
