#include "graph/plan/phases.h"

#include <algorithm>
#include <climits>

namespace flowrun {
namespace {

class PhaseFinder {
 public:
  PhaseFinder(const CheckedPipeline& p, int source) : p_(p), nodes_(p.nodes_of(source)) {
    out_.of.assign(p.nodes.size(), 0);
    out_.again.assign(p.nodes.size(), -1);
    leads_.assign(p.nodes.size(), false);
  }

  Phases run() {
    for (const int n : nodes_) {
      if (!of_group(n)) continue;
      for_sources(n, [&](int from) { at(n) = std::max(at(n), at(from) + (is_whole(from) ? 1 : 0)); });
      if (is_whole(n)) out_.barriers = std::max(out_.barriers, at(n) + 1);
    }
    if (out_.barriers > 0 && p_.run.coupling == "again") run_again();
    return std::move(out_);
  }

 private:
  const CheckedNode& node(int n) const { return p_.nodes[static_cast<size_t>(n)]; }
  int& at(int n) { return out_.of[static_cast<size_t>(n)]; }
  int& again(int n) { return out_.again[static_cast<size_t>(n)]; }
  bool of_group(int n) const { return level_of(node(n).scope()) == level_of(Scope::device); }
  bool is_whole(int n) const { return node(n).scope() == Scope::whole; }

  template <class Visit>
  void for_sources(int n, Visit&& visit) const {
    for (const PortSource& source : node(n).sources) {
      if (source.node >= 0 && of_group(source.node)) visit(source.node);
    }
    for (const int from : node(n).after) {
      if (of_group(from)) visit(from);
    }
  }

  /// Nodes come behind their sources, so both loops see a node's readers before it.
  void run_again() {
    for (auto n = nodes_.rbegin(); n != nodes_.rend(); ++n) {
      if (!of_group(*n) || !(is_whole(*n) || leads_[static_cast<size_t>(*n)])) continue;
      for_sources(*n, [&](int from) { leads_[static_cast<size_t>(from)] = true; });
    }
    for (const int n : nodes_) {
      if (node(n).scope() == Scope::device && !leads_[static_cast<size_t>(n)]) at(n) = out_.barriers;
    }
    std::vector<int> later(p_.nodes.size(), INT_MAX);
    for (auto n = nodes_.rbegin(); n != nodes_.rend(); ++n) {
      const int second = later[static_cast<size_t>(*n)];
      if (second < INT_MAX && repeats(*n)) again(*n) = second;
      if (!of_group(*n) || is_whole(*n)) continue;  // a whole node reads values, for which the first pass is enough
      for_sources(*n, [&](int from) {
        for (const int reads : {at(*n), again(*n)}) {
          if (reads > at(from)) later[static_cast<size_t>(from)] = std::min(later[static_cast<size_t>(from)], reads);
        }
      });
    }
  }

  /// The output of an upload has no gradient history, and is kept.
  bool repeats(int n) const {
    if (node(n).scope() != Scope::device || !leads_[static_cast<size_t>(n)]) return false;
    return std::any_of(node(n).sources.begin(), node(n).sources.end(),
                       [&](const PortSource& source) { return source.node >= 0 && node(source.node).scope() >= Scope::device; });
  }

  const CheckedPipeline& p_;
  std::vector<int> nodes_;
  std::vector<bool> leads_;  // to a whole node
  Phases out_;
};

}  // namespace

Phases find_phases(const CheckedPipeline& pipeline, int source) { return PhaseFinder(pipeline, source).run(); }

}  // namespace flowrun
