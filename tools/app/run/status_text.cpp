// The state of a run, as text and in Prometheus' format.
#include <algorithm>
#include <cinttypes>
#include <cmath>
#include <nlohmann/json.hpp>

#include "graph/text/json_text.h"
#include "tools/app/run/monitor.h"
#include "tools/app/text.h"

namespace flowrun::app {
namespace {

using nlohmann::ordered_json;

std::string seconds(double time) {
  if (time < 1e-3) return print("%.0f us", time * 1e6);
  return time < 1 ? print("%.0f ms", time * 1e3) : print("%.1f s", time);
}

std::string progress_line(const ordered_json& status) {
  std::string text = "step " + json_text(status["step"]) + " of " + json_text(status["last_step"]) + " done, " +
                     seconds(status["still_seconds"].get<double>()) + " ago";
  if (const double rate = status["images_per_second"]; rate > 0) text += print("; %.0f images/s, loss %.4f", rate, status["loss"].get<double>());
  if (!status.value("training", true)) text += "; evaluating " + status.value("stream", "");
  return text + "\n";
}

std::string thread_line(const ordered_json& thread) {
  std::string text = print("  %-8s ", thread["thread"].get<std::string>().c_str());
  if (!thread.contains("node")) return text + "idle\n";
  text += print("%-16s for %s", thread["node"].get<std::string>().c_str(), seconds(thread["seconds"].get<double>()).c_str());
  if (thread.contains("step")) text += ", step " + json_text(thread["step"]);
  if (thread.contains("key")) {
    text += ", sample " + json_text(thread["sample"]) + " in epoch " + json_text(thread["epoch"]) + ": " + thread["key"].get<std::string>();
  } else if (thread.contains("group")) {
    text += ", group " + json_text(thread["group"]);
  }
  return text + "\n";
}

std::string group_lines(const ordered_json& status) {
  std::string text;
  for (const ordered_json& group : status.value("groups", ordered_json::array())) {
    text += "  step " + json_text(group["step"]) + ", group " + json_text(group["group"]) + ": ";
    const bool complete = group["arrived"] == group["images"];
    text += complete ? "complete, " + json_text(group["images"]) + " images\n"
                     : "waits for images, " + json_text(group["arrived"]) + " of " + json_text(group["images"]) + " are there\n";
  }
  return text;
}

std::string queue_lines(const ordered_json& status) {
  std::string text;
  for (const ordered_json& item : status.value("device_queue", ordered_json::array())) {
    text += "  " + item["node"].get<std::string>() + " of step " + json_text(item["step"]) + " for " + seconds(item["seconds"].get<double>());
    std::string behind;
    for (const auto& node : item["behind"]) behind += (behind.empty() ? ", behind " : " and ") + node.get<std::string>();
    text += behind + "\n";
  }
  return text;
}

/// For a run with progress: where the time goes, in one sentence.
std::string usual_reason(const ordered_json& status) {
  double device_busy = 0;
  std::pair<double, std::string> host{0, ""}, device{0, ""};
  for (const auto& [name, node] : status["nodes"].items()) {
    const std::string scope = node["scope"];
    const bool on_device = scope == "device" || scope == "whole" || scope == "step" || scope == "evaluation";
    const double busy = node["busy"];
    if (on_device) device_busy += busy;
    auto& most = on_device ? device : host;
    most = std::max(most, {busy, name});
  }
  const double share = device_busy / status["seconds"].get<double>();
  if (share > 0.5 || host.second.empty())
    return print("the device was busy %.0f %% of the time so far, most of it in ", 100 * share) + device.second + "\n";
  return print("the device was idle %.0f %% of the time so far; data threads spend most of theirs in ", 100 * (1 - share)) + host.second + "\n";
}

/// For a stalled run: the node that delays the oldest unfinished step, in one sentence.
std::string reason(const ordered_json& status) {
  const ordered_json* longest = nullptr;
  bool device_works = false;
  for (const ordered_json& thread : status["threads_now"]) {
    if (!thread.contains("node")) continue;
    device_works = device_works || thread["thread"] == "device";
    if (longest == nullptr || thread["seconds"] > (*longest)["seconds"]) longest = &thread;
  }
  constexpr double long_time = 1;  // seconds; few nodes take as long for one call
  if (longest == nullptr || (*longest)["seconds"] < long_time) return (longest == nullptr ? "no thread is at work; " : "") + usual_reason(status);
  const std::string node = (*longest)["node"], who = (*longest)["thread"];
  std::string text = node + " on " + (who == "device" ? "the device" : "thread " + who) + " has run longest, for " + seconds((*longest)["seconds"]);
  if (!device_works && who != "device") text += "; the device waits for it";
  text += "\n";
  if (longest->contains("key") && status.value("training", true)) {
    text += "replay: flowrun replay " + status["run"].get<std::string>() + " --sample " + json_text((*longest)["sample"]) + " --epoch " +
            json_text((*longest)["epoch"]) + " --node " + node + (status.value("plugins", ordered_json()).empty() ? "" : " --trust") + "\n";
  }
  return text;
}

std::string busy_lines(const ordered_json& status) {
  std::vector<std::pair<double, std::string>> shares;
  const double total = status["seconds"];
  for (const auto& [name, node] : status["nodes"].items()) shares.emplace_back(node["busy"].get<double>() / total, name);
  std::stable_sort(shares.begin(), shares.end(), [](const auto& a, const auto& b) { return a.first > b.first; });
  std::string text;
  for (size_t i = 0; i < std::min<size_t>(6, shares.size()); ++i) {
    if (shares[i].first >= 0.005) text += print("%s%s %.0f %%", text.empty() ? "  " : ", ", shares[i].second.c_str(), 100 * shares[i].first);
  }
  return text.empty() ? text : "busy, in seconds of a thread per second:\n" + text + "\n";
}

}  // namespace

std::string status_text(const ordered_json& status) {
  std::string text = progress_line(status) + reason(status) + "threads:\n";
  for (const ordered_json& thread : status["threads_now"]) text += thread_line(thread);
  if (const std::string groups = group_lines(status); !groups.empty()) text += "batches on their way:\n" + groups;
  if (const std::string queue = queue_lines(status); !queue.empty()) text += "ready for the device:\n" + queue;
  return text + busy_lines(status);
}

std::string prometheus_label(const std::string& text) {
  std::string out;
  for (const char c : text) {
    if (c == '\n') {
      out += "\\n";
      continue;
    }
    if (c == '\\' || c == '"') out += '\\';
    out += c;
  }
  return out;
}

std::string prometheus_text(const ordered_json& status) {
  std::string text;
  const auto metric = [&](const char* name, const char* kind, const char* help) {
    text += print("# HELP flowrun_%s %s\n# TYPE flowrun_%s %s\n", name, help, name, kind);
  };
  const auto single = [&](const char* name, const char* kind, const char* help, double value) {
    metric(name, kind, help);
    text += print("flowrun_%s %.17g\n", name, value);
  };
  single("step", "counter", "Steps that have ended.", status["step"]);
  single("steps", "gauge", "Steps of the run.", status["last_step"]);
  single("images_total", "counter", "Images that were trained on.", status["images"]);
  single("images_per_second", "gauge", "Over the last seconds.", status["images_per_second"]);
  single("loss", "gauge", "As last reported.", status["loss"]);
  single("seconds_since_progress", "gauge", "Since a step or a batch of an evaluation ended.", status["still_seconds"]);
  const auto per_node = [&](const char* name, const char* help, const char* field) {
    metric(name, "counter", help);
    for (const auto& [node, entry] : status["nodes"].items()) {
      text += print("flowrun_%s{node=\"%s\",scope=\"%s\"} %.9g\n", name, prometheus_label(node).c_str(),
                    prometheus_label(entry["scope"].get<std::string>()).c_str(), entry[field].get<double>());
    }
  };
  per_node("node_calls_total", "Calls of a node.", "count");
  per_node("node_failures_total", "Calls that failed.", "failures");
  per_node("node_busy_seconds_total", "Time inside a node.", "busy");
  per_node("node_wait_input_seconds_total", "Time the device was idle before a node for want of its inputs.", "wait_input");
  per_node("node_wait_slot_seconds_total", "Time a node waited for room in a batch.", "wait_slot");
  per_node("node_wait_device_seconds_total", "Time a node's inputs waited for the device.", "wait_device");
  return text;
}

}  // namespace flowrun::app
