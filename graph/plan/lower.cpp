#include "graph/plan/lower.h"

#include <algorithm>
#include <climits>
#include <map>
#include <set>

#include "graph/plan/phases.h"

namespace flowrun {
namespace {

class StreamLowering {
 public:
  StreamLowering(const CheckedPipeline& p, int source, int world) : p_(p), phases_(find_phases(p, source)), world_(world) {
    out_.source = source;
    out_.training = source == p.training_source;
  }

  StreamPlan run() {
    const std::vector<int> nodes = p_.nodes_of(out_.source);
    for (const int n : nodes) {
      if (const auto grouping = p_.nodes[n].node->grouping()) out_.grouping = *grouping;
    }
    out_.groups_per_step = out_.grouping.size / out_.grouping.group;
    if (per_rank() && out_.groups_per_step % world_ == 0) join_groups();
    for (const int n : nodes) add_slots(n);
    out_.level[group_level].barriers.resize(static_cast<size_t>(phases_.barriers));
    for (int phase = 0; phase <= phases_.barriers; ++phase) add_tasks(nodes, phase);
    for (const int n : nodes) add_folds(n);
    for (int l = 0; l < levels; ++l) link(l);
    chain_passes();
    for (LevelPlan& plan : out_.level) add_barrier_parents(plan);
    for (int l = 0; l + 1 < levels; ++l) add_delivery(l);
    for (LevelPlan& plan : out_.level) release_unread(plan), finish_level(plan);
    add_gates();
    return std::move(out_);
  }

 private:
  const CheckedNode& node(int n) const { return p_.nodes[n]; }
  bool per_rank() const { return out_.training && p_.run.pass == "rank"; }

  /// All groups of a rank become one.
  void join_groups() {
    out_.parts = out_.groups_per_step / world_;
    out_.grouping.group *= out_.parts;
    out_.groups_per_step = world_;
  }
  int level(int n) const { return level_of(node(n).scope()); }

  void add_slots(int n) {
    if (level(n) >= levels) return;
    for (size_t i = 0; i < node(n).ports.size(); ++i) {
      const PortDoc& port = node(n).ports[i];
      if (port.input) continue;
      LevelPlan& plan = out_.level[level(n)];
      if (const int shared = slot_in_place(n, port); shared >= 0) {
        slot_of_[{n, static_cast<int>(i)}] = shared;
        continue;
      }
      slot_of_[{n, static_cast<int>(i)}] = add_slot(plan, port);
      if (phases_.twice(n)) first_slot_of_[{n, static_cast<int>(i)}] = add_slot(plan, port);
    }
  }

  static int add_slot(LevelPlan& plan, const PortDoc& port) {
    plan.slots.push_back(port.type);
    plan.readers.push_back(0);
    return static_cast<int>(plan.slots.size()) - 1;
  }

  /// The slot of the input whose object the output may reuse, if the node is its only reader; else -1.
  int slot_in_place(int n, const PortDoc& output) const {
    if (output.in_place == nullptr || phases_.twice(n)) return -1;
    const std::vector<PortDoc>& ports = node(n).ports;
    for (size_t i = 0; i < ports.size(); ++i) {
      if (!ports[i].input || ports[i].name != output.in_place) continue;
      const PortSource from = node(n).sources[i];
      if (from.node < 0 || level(from.node) != level(n) || phases_.twice(from.node)) return -1;
      int readers = 0;
      for (const CheckedNode& other : p_.nodes) {
        readers += static_cast<int>(std::count_if(other.sources.begin(), other.sources.end(),
                                                  [&](const PortSource& s) { return s.node == from.node && s.port == from.port; }));
      }
      return readers == 1 ? slot_of_.at({from.node, from.port}) : -1;
    }
    return -1;
  }

  /// The slots of the ports of node `n` when it is called in this phase with records of its own level and of the level below. What runs
  /// before the second pass of a node that it reads gets the first pass's.
  std::vector<PortSlot> bindings(int n, int below, int phase) const {
    std::vector<PortSlot> out;
    for (size_t i = 0; i < node(n).ports.size(); ++i) {
      const bool input = node(n).ports[i].input;
      const PortSource at = input ? node(n).sources[i] : PortSource{n, static_cast<int>(i)};
      const bool first = at.node >= 0 && phases_.twice(at.node) && phase < phases_.again[at.node];
      const auto& slots = first ? first_slot_of_ : slot_of_;
      const auto slot = slots.find({at.node, at.port});
      PortSlot where;
      if (slot != slots.end()) {
        where.index = slot->second;
        where.below = level(at.node) != level(n);
        // In run() there is no record below; in an evaluation node's fold() there is no record of its own.
        if (where.below && level(at.node) != below) where.index = -1;
      }
      out.push_back(where);
    }
    for (size_t i = out.size(); i-- > 1;) {
      const std::vector<PortDoc>& ports = node(n).ports;
      if (ports[i].list && ports[i - 1].list && ports[i].name == ports[i - 1].name) out[i - 1].more = out[i].more + 1;
    }
    return out;
  }

  /// Tasks behind whole nodes of the phase before come first, so every task stands behind those that it waits for.
  void add_tasks(const std::vector<int>& nodes, int phase) {
    for (const int n : nodes) {
      if (node(n).scope() == Scope::whole && phases_.of[n] == phase - 1) add_task(n, Part::give, phase);
    }
    for (const int n : nodes) {
      if (phases_.again[n] == phase) add_task(n, Part::again, phase);
    }
    for (const int n : nodes) {
      if (level(n) >= levels || phases_.of[n] != phase) continue;
      const bool whole = node(n).scope() == Scope::whole;
      const int task = add_task(n, whole ? Part::fold : phases_.twice(n) ? Part::first : Part::run, phase);
      first_of_[n] = task;
      if (whole) out_.level[group_level].barriers[phase].folds.push_back(task);
    }
  }

  /// The task's number. A whole node takes a group by its inputs, and gives to it by its outputs.
  int add_task(int n, Part part, int phase) {
    LevelPlan& plan = out_.level[level(n)];
    task_of_[n] = static_cast<int>(plan.tasks.size());
    Task task;
    task.node = n;
    task.part = part;
    task.device = node(n).scope() >= Scope::device;
    task.phase = phase;
    task.slots = bindings(n, -1, phase);
    if (part == Part::fold || part == Part::give) {
      for (size_t i = 0; i < task.slots.size(); ++i) {
        if (node(n).ports[i].input != (part == Part::fold)) task.slots[i].index = -1;
      }
    }
    for (size_t i = 0; i < task.slots.size(); ++i) {
      if (!node(n).ports[i].input || task.slots[i].below || task.slots[i].index < 0) continue;
      if (plan.slots[task.slots[i].index]->releases) task.reads.push_back(task.slots[i].index);
    }
    std::sort(task.reads.begin(), task.reads.end());
    task.reads.erase(std::unique(task.reads.begin(), task.reads.end()), task.reads.end());
    for (const int slot : task.reads) ++plan.readers[slot];
    plan.tasks.push_back(std::move(task));
    return task_of_[n];
  }

  void add_folds(int n) {
    for (int l = 0; l < levels - 1; ++l) {
      if (l >= level(n)) return;
      const std::vector<PortSlot> slots = bindings(n, l, INT_MAX);
      if (std::any_of(slots.begin(), slots.end(), [](const PortSlot& s) { return s.below && s.index >= 0; })) {
        out_.level[l].folds.push_back({n, slots});
      }
    }
  }

  void add_edge(LevelPlan& plan, int from, int to) {
    auto& successors = plan.tasks[from].successors;
    if (std::find(successors.begin(), successors.end(), to) != successors.end()) return;
    successors.push_back(to);
    ++plan.tasks[to].parents;
  }

  void link(int l) {
    LevelPlan& plan = out_.level[l];
    for (size_t t = 0; t < plan.tasks.size(); ++t) {
      const Task& task = plan.tasks[t];
      const CheckedNode& to = node(task.node);
      if (task.part == Part::give || task.part == Part::again) add_edge(plan, first_of_[task.node], static_cast<int>(t));
      if (task.part == Part::give) continue;
      const auto from = [&](int n) {
        if (n < 0 || level(n) != l || !task_of_.contains(n)) return;
        const bool first = phases_.twice(n) && task.phase < phases_.again[n];
        add_edge(plan, first ? first_of_[n] : task_of_[n], static_cast<int>(t));
      };
      for (const PortSource& source : to.sources) from(source.node);
      for (const int n : to.after) from(n);
      if (to.type->info.moment == Moment::work) continue;
      for (size_t other = 0; other < plan.tasks.size(); ++other) {
        if (node(plan.tasks[other].node).type->info.moment < to.type->info.moment) add_edge(plan, static_cast<int>(other), static_cast<int>(t));
      }
    }
  }

  /// Passes through models, and what is computed from them, run in one order, whatever comes first from the host: a backward pass adds gradients
  /// in the order in which the passes ran, and sums of three depend on it. Passes that exchange statistics of batch norms run in one order on
  /// all ranks by that, and whole nodes, which gather, stand among them. (The next step's wait for this one's by the models, or by the whole
  /// node.)
  void chain_passes() {
    LevelPlan& plan = out_.level[group_level];
    std::set<int> passed;  // nodes
    int last = -1;
    for (int t = 0; t < static_cast<int>(plan.tasks.size()); ++t) {
      const Task& task = plan.tasks[t];
      if (!task.device || !(task.part == Part::fold || is_pass(task.node, passed))) continue;
      passed.insert(task.node);
      if (task.part == Part::give) continue;
      if (last >= 0) add_edge(plan, last, t);
      last = t;
    }
  }

  bool is_pass(int n, const std::set<int>& passed) const {
    const std::vector<PortSource>& sources = node(n).sources;
    return !node(n).uses.empty() ||
           std::any_of(sources.begin(), sources.end(), [&](const PortSource& source) { return passed.contains(source.node); });
  }

  /// A barrier is one more parent of each task that is the first to stand behind it.
  static void add_barrier_parents(LevelPlan& plan) {
    for (size_t t = 0; t < plan.tasks.size(); ++t) {
      Task& task = plan.tasks[t];
      if (task.node < 0 || task.phase == 0) continue;
      plan.barriers[task.phase - 1].behind.push_back(static_cast<int>(t));
      ++task.parents;
    }
  }

  /// The last task of a sample or group: after all others, so that a record that failed has delivered nothing.
  void add_delivery(int l) {
    LevelPlan& plan = out_.level[l];
    Task delivery;
    delivery.device = l == group_level;
    for (const Fold& fold : plan.folds) {
      for (const PortSlot& slot : fold.slots) {
        if (slot.below && slot.index >= 0 && plan.slots[slot.index]->releases) delivery.reads.push_back(slot.index);
      }
    }
    std::sort(delivery.reads.begin(), delivery.reads.end());
    delivery.reads.erase(std::unique(delivery.reads.begin(), delivery.reads.end()), delivery.reads.end());
    for (const int slot : delivery.reads) ++plan.readers[slot];
    const int last = static_cast<int>(plan.tasks.size());
    plan.tasks.push_back(std::move(delivery));
    for (int t = 0; t < last; ++t) {
      if (plan.tasks[t].successors.empty()) add_edge(plan, t, last);
    }
  }

  /// An output that nobody reads is released by the task that makes it.
  void release_unread(LevelPlan& plan) const {
    for (Task& task : plan.tasks) {
      if (task.node < 0) continue;
      const std::vector<PortDoc>& ports = node(task.node).ports;
      for (size_t i = 0; i < ports.size(); ++i) {
        const int slot = task.slots[i].index;
        if (ports[i].input || slot < 0 || plan.readers[slot] > 0 || !plan.slots[slot]->releases) continue;
        task.reads.push_back(slot), ++plan.readers[slot];
      }
    }
  }

  static void finish_level(LevelPlan& plan) {
    for (size_t t = 0; t < plan.tasks.size(); ++t) {
      if (plan.tasks[t].parents == 0) plan.roots.push_back(static_cast<int>(t));
    }
  }

  /// Late nodes may save every model, so they run between this step's writers and the next step's.
  bool conflict(int a, int b) const {
    const auto writes_any = [&](int n) {
      return std::any_of(node(n).uses.begin(), node(n).uses.end(), [](const ModelUse& use) { return use.access == Models::Access::writes; });
    };
    if ((node(a).type->info.moment != Moment::work && writes_any(b)) || (node(b).type->info.moment != Moment::work && writes_any(a))) return true;
    for (const ModelUse& x : node(a).uses) {
      for (const ModelUse& y : node(b).uses) {
        const bool writes = x.access == Models::Access::writes || y.access == Models::Access::writes;
        if (x.model == y.model && writes) return true;
      }
    }
    return false;
  }

  /// Read after write, write after read and write after write, from one record to the next. Within a record the edges
  /// and the delivery order everything; a task follows itself anyway.
  void add_gates() {
    for (int l = group_level; l < levels; ++l) {
      for (Task& task : out_.level[l].tasks) {
        if (task.node < 0) continue;
        for (int other_level = l; other_level < levels; ++other_level) {
          const LevelPlan& plan = out_.level[other_level];
          for (size_t u = 0; u < plan.tasks.size(); ++u) {
            const int other = plan.tasks[u].node;
            if (other >= 0 && other != task.node && conflict(task.node, other)) task.gates.push_back({other_level, static_cast<int>(u)});
          }
        }
      }
    }
  }

  const CheckedPipeline& p_;
  const Phases phases_;
  const int world_;
  StreamPlan out_;
  std::map<std::pair<int, int>, int> slot_of_;        // (node, port) -> slot of its level
  std::map<std::pair<int, int>, int> first_slot_of_;  // the same of nodes that run twice, in their first pass
  std::map<int, int> task_of_;                        // node -> task of its level, the last one
  std::map<int, int> first_of_;                       // the first task of nodes that have two
};

/// Marks the nodes that a node descends from.
void mark_ancestors(const CheckedPipeline& p, int n, std::vector<bool>& marked) {
  if (marked[n]) return;
  marked[n] = true;
  for (const PortSource& source : p.nodes[n].sources) {
    if (source.node >= 0) mark_ancestors(p, source.node, marked);
  }
}

}  // namespace

Plan lower(const CheckedPipeline& p, int world) {
  Plan plan;
  for (int n = 0; n < static_cast<int>(p.nodes.size()); ++n) {
    if (p.nodes[n].scope() == Scope::evaluation) plan.evaluations.push_back(n);
    if (p.nodes[n].scope() != Scope::source) continue;
    StreamPlan stream = StreamLowering(p, n, world).run();
    plan.streams.insert(stream.training ? plan.streams.begin() : plan.streams.end(), std::move(stream));
  }
  plan.trains.assign(p.nodes.size(), false);
  bool any = false;
  for (int n = 0; n < static_cast<int>(p.nodes.size()); ++n) {
    for (const ModelUse& use : p.nodes[n].uses) {
      if (use.access != Models::Access::writes) continue;
      mark_ancestors(p, n, plan.trains);
      any = true;
    }
  }
  if (!any) plan.trains.assign(p.nodes.size(), true);
  return plan;
}

std::string describe_plan(const CheckedPipeline& p, const Plan& plan) {
  static constexpr const char* names[] = {"sample", "group", "step"};
  std::string out;
  const auto task_name = [&](const LevelPlan& level, int t) {
    static constexpr const char* parts[] = {"", " (no gradients)", " (again)", " (fold)", " (give)"};
    const Task& task = level.tasks[t];
    return task.node < 0 ? std::string("(deliver)") : p.nodes[task.node].name + parts[static_cast<int>(task.part)];
  };
  for (const StreamPlan& stream : plan.streams) {
    out += "stream of " + p.nodes[stream.source].name + (stream.training ? ", trains" : ", evaluates") + ": steps of " +
           std::to_string(stream.grouping.size) + " samples in " + std::to_string(stream.groups_per_step) + " groups\n";
    for (int l = 0; l < levels; ++l) {
      const LevelPlan& level = stream.level[l];
      if (level.tasks.empty()) continue;
      out += std::string("  per ") + names[l] + ": " + std::to_string(level.slots.size()) + " slots\n";
      for (size_t t = 0; t < level.tasks.size(); ++t) {
        const Task& task = level.tasks[t];
        out += "    " + std::to_string(t) + " " + task_name(level, static_cast<int>(t)) + (task.device ? " [device]" : " [pool]") + "  waits for " +
               std::to_string(task.parents);
        for (const int s : task.successors) out += (s == task.successors[0] ? ", then " : ", ") + task_name(level, s);
        for (const Gate& gate : task.gates) {
          out += "; after " + task_name(stream.level[gate.level], gate.task) + " of the " + names[gate.level] + " before";
        }
        out += "\n";
      }
      for (const Barrier& barrier : level.barriers) {
        std::string names_of;
        for (const int t : barrier.folds) names_of += (names_of.empty() ? "" : ", ") + p.nodes[level.node_of(t)].name;
        out += "    when all groups have come: " + names_of + "\n";
      }
      for (const Fold& fold : level.folds) out += "    folds into " + p.nodes[fold.node].name + "\n";
    }
  }
  return out;
}

}  // namespace flowrun
