// plan: the tables of a plan.
#include "tools/app/plan/plan.h"

#include <algorithm>
#include <cstdio>

#include "graph/text/json_text.h"
#include "tools/app/text.h"
#include "tools/flowrun/cli/commands.h"

namespace flowrun::cli {
namespace {

using app::print;
using nlohmann::ordered_json;

std::string bytes_text(double bytes) {
  const char* const units[] = {"B", "KB", "MB", "GB", "TB"};
  int unit = 0;
  while (bytes >= 1000 && unit < 4) bytes /= 1000, ++unit;
  return print(unit == 0 || bytes >= 100 ? "%.0f %s" : "%.1f %s", bytes, units[unit]);
}

std::string time_text(double seconds) {
  if (seconds < 120) return print("%.3g s", seconds);
  return seconds < 7200     ? print("%.0f minutes", seconds / 60)
         : seconds < 172800 ? print("%.1f hours", seconds / 3600)
                            : print("%.1f days", seconds / 86400);
}

std::string counted(long long n, const char* what) { return std::to_string(n) + " " + what + (n == 1 ? "" : "s"); }

double number(const ordered_json& of, const char* name) { return of[name].get<double>(); }
long long integer(const ordered_json& of, const char* name) { return of[name].get<long long>(); }
std::string text(const ordered_json& of, const char* name) { return of[name].get<std::string>(); }

std::string head(const ordered_json& plan) {
  const ordered_json& device = plan["device"];
  std::string out = text(plan, "pipeline") + ": " + counted(integer(plan, "world"), "rank") + " on " + counted(integer(plan, "machines"), "machine") +
                    " of " + std::to_string(integer(device, "per_machine")) + "; " + text(device, "what") + ", " + text(device, "precision");
  out += device.contains("utilisation") ? print(", %.0f %% of %.0f TFLOP/s\n", 100 * number(device, "utilisation"), number(device, "tera_operations"))
                                        : print(", %.0f images/s alone\n", number(device, "images_per_second"));
  const ordered_json &groups = plan["groups"], &samples = plan["samples"], &steps = plan["steps"];
  out += print("a step: %lld images in %s of %lld; a rank: %lld images, %s\n", integer(samples, "per_step"),
               counted(integer(groups, "per_step"), "group").c_str(), integer(groups, "images"), integer(samples, "per_rank"),
               counted(integer(groups, "per_rank"), "group").c_str());
  out += print("%s has %lld images (%s): %lld steps an epoch, %lld in %lld epochs\n\n", text(samples, "source").c_str(), integer(samples, "images"),
               text(samples, "from").c_str(), integer(steps, "per_epoch"), integer(steps, "all"), integer(steps, "epochs"));
  return out;
}

std::string ports_table(const ordered_json& plan) {
  std::string out = print("%-24s %10s  %s\n", "port, of one group", "takes", "shape");
  for (const auto& port : plan["ports"]) {
    const std::string name = text(port, "node") + "." + text(port, "port");
    out += print("%-24s %10s  %s\n", name.c_str(), port.contains("bytes") ? bytes_text(number(port, "bytes")).c_str() : "?",
                 text(port, "shape").c_str());
  }
  return out;
}

std::string models_table(const ordered_json& plan) {
  std::string out = print("\n%-24s %12s %12s\n", "model", "parameters", "trained");
  for (const auto& model : plan["models"]) {
    out += print("%-24s %12lld %12lld\n", text(model, "name").c_str(), integer(model, "parameters"), integer(model, "trained"));
  }
  const ordered_json& operations = plan["operations"];
  out += print("\n%-24s %12s %12s\n", "GFLOP of an image", "forward", "backward");
  for (const auto& pass : operations["passes"]) {
    out += print("%-24s %12.4g %12.4g\n", (text(pass, "node") + ": " + text(pass, "model")).c_str(), number(pass, "forward") / 1e9,
                 number(pass, "backward") / 1e9);
  }
  return out + print("%-24s %12.4g %12.4g\n", "together", number(operations, "forward") / 1e9, number(operations, "backward") / 1e9);
}

std::string memory_table(const ordered_json& memory) {
  std::string out = "\nmemory of a rank\n";
  const std::pair<const char*, const char*> lines[] = {{"weights", "weights that are trained"},
                                                       {"frozen_weights", "other weights (teacher)"},
                                                       {"gradients", "gradients"},
                                                       {"buckets", "their copy for the exchange"},
                                                       {"moments", "moments of the optimizer"},
                                                       {"activations", "a group's pass, estimated"},
                                                       {"all", "together"}};
  for (const auto& [name, what] : lines) out += print("  %-30s %10s\n", what, bytes_text(number(memory, name)).c_str());
  return out + print("  %-30s %10s   %s\n", "the device", bytes_text(number(memory, "device")).c_str(),
                     memory["fits"].get<bool>() ? "it fits" : "it doesn't fit (a tenth should stay free)");
}

std::string step_table(const ordered_json& plan) {
  const ordered_json &step = plan["step"], &exchange = plan["exchange"];
  std::string out = print("\na step: %.1f ms\n", 1e3 * number(step, "seconds"));
  const auto line = [&](const char* what, double seconds, const std::string& more = "") {
    out += print("  %-30s %7.1f ms", what, 1e3 * seconds) + (more.empty() ? "" : "   " + more) + "\n";
  };
  line("passes", number(step, "passes"));
  line("update of the weights", number(step, "update"));
  line("exchange that is not hidden", number(step, "exchange"),
       print("%s at %.4g GB/s: %.1f ms, of which the backward pass hides %.1f", bytes_text(number(exchange, "bytes")).c_str(),
             number(exchange, "gb_per_second"), 1e3 * number(exchange, "seconds"), 1e3 * number(exchange, "hidden")));
  if (number(step, "rows") > 0) line("exchange of rows", number(step, "rows"));
  if (number(step, "gather") > 0) line("exchange of updated weights", number(step, "gather"));
  line("agreement of the ranks", number(step, "agreement"));
  if (number(step, "waits_for_input") > 0) line("waits for its input", number(step, "waits_for_input"));
  return out;
}

std::string input_lines(const ordered_json& input) {
  std::string out = print("input of a machine: %.0f images/s", number(input, "images_per_second_per_machine"));
  if (input["from_storage"].get<bool>()) {
    out += input.contains("file_bytes") ? print(", %s/s of files of %s", bytes_text(number(input, "bytes_per_second_per_machine")).c_str(),
                                                bytes_text(number(input, "file_bytes")).c_str())
                                        : ", of files whose size is not known (--file-kib)";
  }
  if (input.contains("storage_there")) out += print(" (it reads %s/s)", bytes_text(number(input, "storage_there")).c_str());
  if (input.contains("cores_ms")) {
    out += print("; %.1f cores at %.2f ms an image", number(input, "cores_per_machine"), number(input, "cores_ms"));
    out += print(" (it has %.0f)", number(input, "cores_there"));
  } else {
    out += "; cores: not known (--cores-ms)";
  }
  return out + "\n";
}

std::string plan_text(const ordered_json& plan) {
  std::string out = head(plan) + ports_table(plan) + models_table(plan) + memory_table(plan["memory"]) + step_table(plan);
  out += print("\n%.0f images/s; %s an epoch, %s in all; %.0f %% of what as many devices would give alone\n", number(plan, "images_per_second"),
               time_text(3600 * number(plan, "hours_per_epoch")).c_str(), time_text(3600 * number(plan, "hours")).c_str(),
               100 * number(plan, "efficiency"));
  out += input_lines(plan["input"]);
  out += "checkpoint: " + bytes_text(number(plan, "checkpoint_bytes")) + "\n";
  out += "\nbreaks first: " + text(plan, "breaks_first") + "\n";
  for (const auto& note : plan["notes"]) out += "note: " + note.get<std::string>() + "\n";
  return out;
}

}  // namespace

int plan(const app::PlanArgs& args) {
  const ordered_json result = app::plan(args);
  std::printf("%s", args.json ? (json_text(result, 2) + "\n").c_str() : plan_text(result).c_str());
  return 0;
}

}  // namespace flowrun::cli
