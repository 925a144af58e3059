// Lowering: from checked nodes to the tasks that executors run. Every (node, output port) gets a slot in the record of
// its level; every node becomes a task with a count of parents; every level but the last ends in a delivery, which
// folds the record into the record above; orders between steps follow from the models that tasks read and write.
#pragma once

#include <string>
#include <vector>

#include "graph/check/entries.h"

namespace flowrun {

inline constexpr int sample_level = 0, group_level = 1, step_level = 2, levels = 3;

/// Waits until `task` of `level` has finished the record before: the group before (same level), or the step before.
struct Gate {
  int level;
  int task;
};

/// The call of its node that a task makes.
enum class Part {
  run,
  first,  // run() without gradients: what leads to a whole node, with run.coupling "again"
  again,  // the same once more with gradients, behind the barrier
  fold,   // a whole node takes the group
  give,   // behind its barrier it gives the group its part
};

/// One node on one record; or, with node < 0, the delivery of the record to the level above.
struct Task {
  int node = -1;
  Part part = Part::run;
  int phase = 0;                // barriers that the group has passed (phases.h)
  bool device = false;          // runs on the device's executor, in order
  int parents = 0;              // tasks of the same record that must end first
  std::vector<int> successors;  // tasks of the same record
  std::vector<Gate> gates;
  std::vector<PortSlot> slots;  // one per port of the node
  std::vector<int> reads;       // slots whose objects are released after their last reader
};

/// Where all groups of a step meet: when each has ended all `folds`, the whole nodes of these tasks run, in this order, and the tasks
/// `behind` may begin in all groups.
struct Barrier {
  std::vector<int> folds, behind;  // tasks of the group level, in order
};

/// A node of a level above that folds this level's records.
struct Fold {
  int node;
  std::vector<PortSlot> slots;
};

struct LevelPlan {
  std::vector<const TypeOps*> slots;
  std::vector<int> readers;  // per slot whose object is released: tasks that read it (deliveries count)
  std::vector<Task> tasks;   // in topological order; the delivery is the last
  std::vector<int> roots;
  std::vector<Fold> folds;  // the work of the delivery
  std::vector<Barrier> barriers;
  int node_of(int task) const { return tasks[static_cast<size_t>(task)].node; }
};

/// A source and all nodes that descend from it.
struct StreamPlan {
  int source = -1;
  bool training = false;
  Grouping grouping{};
  int64_t groups_per_step = 0;
  int64_t parts = 1;  // groups of batch.stack that are one here, with run.pass "rank"
  LevelPlan level[levels];
};

struct Plan {
  std::vector<StreamPlan> streams;  // the training stream, if any, is the first
  std::vector<int> evaluations;     // evaluation nodes, in order
  std::vector<bool> trains;         // per node: it reaches a node that writes a model (all true without one)
};

/// `world`: the ranks that share a step.
Plan lower(const CheckedPipeline& pipeline, int world = 1);

/// The plan in words: slots, tasks, parents, gates, per stream and level (`flowrun draw --plan`).
std::string describe_plan(const CheckedPipeline& pipeline, const Plan& plan);

}  // namespace flowrun
