// What the name of a metric tells: whose it is, whether more of it is better, and whether it is a share of 1.
#pragma once

#include <string_view>

namespace flowrun {

/// METRIC of "NODE.METRIC", or of "METRIC".
inline std::string_view name_of(std::string_view metric) { return metric.substr(metric.rfind('.') + 1); }  // npos + 1 is 0

/// NODE of "NODE.METRIC"; empty where there is none.
inline std::string_view node_of(std::string_view metric) {
  const size_t dot = metric.rfind('.');
  return dot == std::string_view::npos ? std::string_view() : metric.substr(0, dot);
}

/// "knn.accuracy" or "accuracy". False of losses, errors, divergences and perplexities.
inline bool more_is_better(std::string_view metric) {
  for (const std::string_view less : {"loss", "error", "divergence", "perplexity"}) {
    if (name_of(metric).find(less) != std::string_view::npos) return false;
  }
  return true;
}

/// Whether people read a metric in percent: accuracies, mean intersections over unions, agreements.
inline bool is_share(std::string_view metric) {
  const std::string_view name = name_of(metric);
  return name.find("accuracy") != std::string_view::npos || name.find("miou") != std::string_view::npos || name == "agreement";
}

}  // namespace flowrun
