// The evaluations in result.json.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

namespace flowrun::app {

/// Whether an entry of result.json is what an evaluation found; others are facts of the run.
inline bool is_evaluation(const nlohmann::ordered_json& entry) { return entry.is_object() && entry.contains("history"); }

/// Hands `take` name and value of each number that an evaluation reported last; `entry` may be a line of its history.
template <class Take>
void each_metric(const nlohmann::ordered_json& entry, Take&& take) {
  for (const auto& [name, value] : entry.items()) {
    if (value.is_number() && name != "step" && name != "epoch") take(name, value.template get<double>());
  }
}

}  // namespace flowrun::app
