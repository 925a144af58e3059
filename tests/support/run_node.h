// Runs a single sample node, found by its type as in a pipeline.
#pragma once

#include <gtest/gtest.h>
#include <memory>
#include <string>
#include <vector>

#include "graph/node.h"

namespace flowrun::test {

/// The node with its parameters read from JSON; fails the test on faults.
inline std::unique_ptr<Node> make_node(const std::string& type, const std::string& params = "{}") {
  auto node = find_node_type(type)->make();
  Diagnostics faults;
  read_params(node->params(), parse_json(std::make_shared<Source>(Source{type, params}), faults), {}, "node", type, faults);
  EXPECT_TRUE(faults.empty()) << faults.render();
  if (const auto fault = node->check()) ADD_FAILURE() << fault->message;
  return node;
}

/// `objects` are what the ports hold, in declared order; null: not connected. Returns what was added to the ledger.
inline uint64_t run_sample(const Node& node, std::vector<void*> objects, uint64_t sample = 0, uint64_t seed = 0) {
  std::vector<PortSlot> slots;
  for (size_t i = 0; i < objects.size(); ++i) slots.push_back({objects[i] ? static_cast<int>(i) : -1, false});
  uint64_t ledger = 0;
  node.run(Call{objects.data(), nullptr, slots.data()}, SampleContext{seed, 1, 0, sample, sample, LedgerEntry(&ledger)});
  return ledger;
}

}  // namespace flowrun::test
