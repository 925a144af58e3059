// Whether more of a metric is better, by its name.
#pragma once

#include <string_view>

namespace flowrun {

/// "knn.accuracy" or "accuracy". False of losses, errors, divergences and perplexities.
inline bool more_is_better(std::string_view metric) {
  const std::string_view name = metric.substr(metric.rfind('.') == std::string_view::npos ? 0 : metric.rfind('.') + 1);
  for (const std::string_view less : {"loss", "error", "divergence", "perplexity"}) {
    if (name.find(less) != std::string_view::npos) return false;
  }
  return true;
}

}  // namespace flowrun
