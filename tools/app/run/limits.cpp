#include "tools/app/run/limits.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "tools/app/text.h"

namespace flowrun::app {

using nlohmann::ordered_json;

Limits limits_between(const ordered_json& begin, const ordered_json& end) {
  Limits out;
  out.threads = end["threads"];
  const double seconds = std::max(1e-9, end["seconds"].get<double>() - (begin.is_null() ? 0 : begin["seconds"].get<double>()));
  for (const auto& [name, node] : end["nodes"].items()) {
    const auto passed = [&, &name = name, &node = node](const char* what) {
      return node[what].get<double>() - (begin.is_null() ? 0 : begin["nodes"][name][what].get<double>());
    };
    const std::string scope = node["scope"];
    const bool on_device = scope == "device" || scope == "whole" || scope == "step" || scope == "evaluation";
    Limits::Side& side = on_device ? out.device : out.data;
    const double share = passed("busy") / (on_device ? seconds : seconds * out.threads);
    side.busy += share;
    out.starved += passed("wait_input") / seconds;
    if (share > side.share) side.share = share, side.node = name;
  }
  return out;
}

std::string Limits::text() const {
  const auto most = [](const Side& side) { return print("%s (%.0f %%)", side.node.c_str(), 100 * side.share); };
  const bool device_waits = starved > 0.1 || device.busy < 0.6;
  if (device_waits && data.busy > 0.5 && !data.node.empty()) {
    return "data threads, most of it " + most(data) + print("; the device waits %.0f %%", 100 * std::max(0.0, 1 - device.busy));
  }
  if (device.busy > 0.6) return "the device, most of it " + most(device);
  const Side& more = data.share * threads > device.share ? data : device;
  return "none is busy all the time" + (more.node.empty() ? "" : ", most is " + most(more));
}

}  // namespace flowrun::app
