#include "graph/check/order.h"

#include <algorithm>
#include <set>
#include <tuple>

namespace flowrun {
namespace {

class Order {
 public:
  Order(CheckedPipeline& pipeline, Diagnostics& faults) : p_(pipeline), faults_(faults) {}

  /// Kahn's algorithm, by (scope, moment, name) among the ready ones; then nodes and references move along.
  bool sort() {
    std::vector<std::set<int>> parents(count());
    for (int n = 0; n < count(); ++n) {
      for (const PortSource& source : node(n).sources) {
        if (source.node >= 0) parents[n].insert(source.node);
      }
      parents[n].insert(node(n).after.begin(), node(n).after.end());
    }
    std::vector<int> order;
    std::vector<bool> placed(count());
    const auto before = [&](int a, int b) {
      const auto key = [&](int n) { return std::tuple(level_of(node(n).scope()), node(n).type->info.moment, node(n).name); };
      return key(a) < key(b);
    };
    while (static_cast<int>(order.size()) < count()) {
      int best = -1;
      for (int n = 0; n < count(); ++n) {
        const bool ready = !placed[n] && std::all_of(parents[n].begin(), parents[n].end(), [&](int m) { return placed[m]; });
        if (ready && (best < 0 || before(n, best))) best = n;
      }
      if (best < 0) return report_cycle(parents, placed);
      placed[best] = true;
      order.push_back(best);
    }
    reorder(order);
    return true;
  }

  bool report_cycle(const std::vector<std::set<int>>& parents, const std::vector<bool>& placed) {
    // Walk backwards among the unplaced until a node comes again.
    std::vector<int> path;
    int n = static_cast<int>(std::find(placed.begin(), placed.end(), false) - placed.begin());
    while (std::find(path.begin(), path.end(), n) == path.end()) {
      path.push_back(n);
      n = *std::find_if(parents[n].begin(), parents[n].end(), [&](int m) { return !placed[m]; });
    }
    path.erase(path.begin(), std::find(path.begin(), path.end(), n));
    std::reverse(path.begin(), path.end());
    const auto by_name = [&](int a, int b) { return node(a).name < node(b).name; };
    std::rotate(path.begin(), std::min_element(path.begin(), path.end(), by_name), path.end());
    std::vector<std::string> names;
    for (const int m : path) names.push_back(node(m).name);
    names.push_back(names[0]);
    faults_.error(node(path[0]).where, "the nodes form a cycle: " + join(names, " -> "),
                  "order between steps follows from the models that nodes read and write; no edge goes back");
    return false;
  }

  void reorder(const std::vector<int>& order) {
    std::vector<int> place(order.size());
    for (size_t i = 0; i < order.size(); ++i) place[order[i]] = static_cast<int>(i);
    std::vector<CheckedNode> sorted;
    for (const int n : order) sorted.push_back(std::move(node(n)));
    for (CheckedNode& n : sorted) {
      for (PortSource& source : n.sources) {
        if (source.node >= 0) source.node = place[source.node];
      }
      for (int& after : n.after) after = place[after];
    }
    p_.nodes = std::move(sorted);
  }

  void find_streams() {
    for (int n = 0; n < count(); ++n) {
      std::set<int> feeds;
      if (node(n).scope() == Scope::source) feeds.insert(n);
      const auto add = [&](int from) { feeds.insert(node(from).feeds.begin(), node(from).feeds.end()); };
      for (const PortSource& source : node(n).sources) {
        if (source.node >= 0) add(source.node);
      }
      for (const int from : node(n).after) add(from);
      node(n).feeds.assign(feeds.begin(), feeds.end());
    }
    const size_t before = faults_.count();
    for (int n = 0; n < count(); ++n) check_stream(n);
    if (faults_.count() != before) return;
    if (p_.training_source < 0) refuse_orphans();
    for (int n = 0; n < count(); ++n) check_whole(n);
    for (int n = 0; n < count(); ++n) {
      if (node(n).feeds.empty() && p_.training_source >= 0 && node(n).scope() == Scope::step) node(n).feeds = {p_.training_source};
      if (node(n).feeds.empty() && node(n).scope() != Scope::step)
        faults_.error(node(n).where, node(n).name + ": no source feeds it", "give it an \"in\" or an \"after\"");
      if (node(n).scope() == Scope::source) check_grouping(n);
    }
  }

  void check_stream(int n) {
    const auto& in = node(n).sources;
    const bool met_before = std::any_of(in.begin(), in.end(), [&](const PortSource& s) { return s.node >= 0 && node(s.node).feeds.size() > 1; });
    if (node(n).scope() != Scope::evaluation && node(n).feeds.size() > 1 && !met_before) {
      std::vector<std::string> names;
      for (const int source : node(n).feeds) names.push_back(node(source).name);
      faults_.error(node(n).where, node(n).name + ": samples of several sources meet: " + join(names),
                    "only evaluation nodes take more than one stream");
    }
    if (node(n).scope() != Scope::step || node(n).feeds.size() != 1) return;
    const int source = node(n).feeds[0];
    if (p_.training_source >= 0 && p_.training_source != source) {
      faults_.error(node(n).where, node(n).name + ": a second source trains: " + node(source).name + " beside " + node(p_.training_source).name,
                    "one stream leads to step nodes; others lead to evaluation nodes");
    }
    p_.training_source = source;
  }

  /// Whole nodes wait for the groups of a training step. What stands before one runs in all groups before anything behind it runs in the
  /// first, so a device node that changes a model has no place in their order.
  void check_whole(int n) {
    if (node(n).scope() != Scope::whole) return;
    if (node(n).feeds.size() == 1 && node(n).feeds[0] != p_.training_source) {
      faults_.error(node(n).where,
                    node(n).name + ": a whole node takes all groups of a training step, and " + node(node(n).feeds[0]).name + " leads to none",
                    "an evaluation passes over its samples group by group");
    }
    for (const CheckedNode& other : p_.nodes) {
      if (other.scope() != Scope::device || other.feeds != node(n).feeds) continue;
      const auto writes = [](const ModelUse& use) { return use.access == Models::Access::writes; };
      if (std::none_of(other.uses.begin(), other.uses.end(), writes)) continue;
      faults_.error(other.where, other.name + ": a device node can't change a model beside a whole node (" + node(n).name + ")",
                    "change it in a step node");
    }
  }

  /// Step nodes without inputs and without a training stream can't run.
  void refuse_orphans() {
    for (int n = 0; n < count(); ++n) {
      if (node(n).scope() == Scope::step) faults_.error(node(n).where, node(n).name + ": no source leads to step nodes, so there are no steps");
    }
  }

  void check_grouping(int source) {
    std::vector<int> stacks;
    for (const int n : p_.nodes_of(source)) {
      if (node(n).node->grouping()) stacks.push_back(n);
      if (p_.run.pass == "rank" && source == p_.training_source && node(n).scope() == Scope::batch && !node(n).node->grouping()) {
        faults_.error(
            node(n).where,
            node(n).name + ": with run.pass \"rank\" all groups of a rank are one, so what it draws for a group would depend on the number of ranks",
            "set run.pass to \"group\"");
      }
      const bool crosses = node(n).scope() == Scope::evaluation && source == p_.training_source;
      if (crosses) {
        faults_.error(node(n).where, node(n).name + ": an evaluation can't read the stream that trains (" + node(source).name + ")",
                      "give it a source of its own: it passes over all samples in order");
      }
    }
    if (stacks.empty()) {
      faults_.error(node(source).where, node(source).name + ": its samples never become groups", "add a batch.stack");
      return;
    }
    const Grouping first = *node(stacks[0]).node->grouping();
    for (const int n : stacks) {
      const Grouping other = *node(n).node->grouping();
      if (other.size != first.size || other.group != first.group) {
        faults_.error(node(n).where,
                      node(n).name + ": size and group must equal those of " + node(stacks[0]).name + ", which stacks the same samples");
      }
    }
  }

  /// Two nodes of one level that use a model, one of them writing, need a path between them.
  void check_order() {
    std::vector<std::set<int>> ancestors(count());
    for (int n = 0; n < count(); ++n) {
      const auto add = [&](int from) {
        ancestors[n].insert(from);
        ancestors[n].insert(ancestors[from].begin(), ancestors[from].end());
      };
      for (const PortSource& source : node(n).sources) {
        if (source.node >= 0) add(source.node);
      }
      for (const int from : node(n).after) add(from);
    }
    for (int a = 0; a < count(); ++a) {
      for (int b = a + 1; b < count(); ++b) {
        if (level_of(node(a).scope()) != level_of(node(b).scope()) || level_of(node(a).scope()) == 3) continue;
        if (ancestors[b].contains(a) || ancestors[a].contains(b) || node(a).type->info.moment != node(b).type->info.moment) continue;
        const std::string model = conflict(a, b);
        if (model.empty()) continue;
        faults_.error(node(b).where, node(a).name + " and " + node(b).name + " both use the model " + model + ", and nothing says which comes first",
                      "add \"after\": \"" + node(a).name + "\" to " + node(b).name + ", or the other way round");
      }
    }
  }

  std::string conflict(int a, int b) {
    for (const ModelUse& x : node(a).uses) {
      for (const ModelUse& y : node(b).uses) {
        const bool writes = x.access == Models::Access::writes || y.access == Models::Access::writes;
        if (x.model == y.model && writes) return p_.models[x.model].name;
      }
    }
    return "";
  }

  CheckedNode& node(int n) { return p_.nodes[n]; }
  int count() const { return static_cast<int>(p_.nodes.size()); }

  CheckedPipeline& p_;
  Diagnostics& faults_;
};

}  // namespace

bool sort_nodes(CheckedPipeline& pipeline, Diagnostics& faults) { return Order(pipeline, faults).sort(); }
void find_streams(CheckedPipeline& pipeline, Diagnostics& faults) { Order(pipeline, faults).find_streams(); }
void check_order(CheckedPipeline& pipeline, Diagnostics& faults) { Order(pipeline, faults).check_order(); }

}  // namespace flowrun
