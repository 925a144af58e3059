// The common part of evaluations that fit on one stream of images and report on another. A node derives from OnFeatures (collect.h) or
// OnPatches (collect_patches.h).
#pragma once

#include <utility>

#include "graph/contract/planned.h"
#include "graph/node.h"

namespace flowrun::eval {

template <class T>
struct TrainTestPorts {
  In<T> train, test;
  TrainTestPorts(const char* train, const char* test) : train("train", train), test("test", test) {}
  void describe(auto& port) { port(train, test); }
};

/// Gathers both streams, each in a Gatherer, and clears them for the next moment. A node adds its `info`, Ports, and
/// `score(train, test, EvaluationContext&)`, which is called with what Gatherer::take() gives, of all ranks, and reports.
/// One thread; take() is collective.
template <class Node, class Gatherer>
class TrainTest {
 public:
  using Ports = TrainTestPorts<typename Gatherer::Group>;
  void plan(NodePlan& plan) const { plan.require_equal("width", "train", &Planned::width, "test", "both must come from the same kind of encoder"); }
  void fold(Ports& port, const FoldContext&) {
    if (port.train) train_.add(*port.train);
    if (port.test) test_.add(*port.test);
  }
  void run(Ports&, EvaluationContext& context) {
    auto train = train_.take(context.run), test = test_.take(context.run);
    static_cast<const Node&>(*this).score(std::move(train), std::move(test), context);
  }

 private:
  Gatherer train_, test_;
};

}  // namespace flowrun::eval
