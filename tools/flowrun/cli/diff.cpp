// diff: the differences of two pipelines, and of their speeds.
#include "tools/flowrun/cli/diff.h"

#include <cstdio>
#include <iostream>

#include "graph/text/json_text.h"
#include "tools/app/load/diff.h"
#include "tools/app/speed/turns.h"
#include "tools/flowrun/cli/program.h"

namespace flowrun::cli {
namespace {

using nlohmann::ordered_json;

std::string text_of(const ordered_json& value) { return value.is_null() ? "none" : value.is_string() ? value.get<std::string>() : json_text(value); }

void print_text(const ordered_json& result) {
  if (result["changes"].empty()) std::printf("the pipelines are the same\n");
  for (const auto& change : result["changes"]) {
    const std::string path = change["path"];
    if (change["from"].is_null() && path.find('.') == path.rfind('.')) {
      std::printf("+ %s (%s)\n", path.c_str(), text_of(change["to"]).c_str());
    } else if (change["to"].is_null() && path.find('.') == path.rfind('.')) {
      std::printf("- %s (%s)\n", path.c_str(), text_of(change["from"]).c_str());
    } else {
      std::printf("  %s: %s -> %s\n", path.c_str(), text_of(change["from"]).c_str(), text_of(change["to"]).c_str());
    }
  }
  std::vector<std::string> same = result["same_values"];
  if (!same.empty()) std::printf("\nthe same for every sample: %s\n", join(same).c_str());
  for (const auto& [name, why] : result["other_values"].items())
    std::printf("other values: %s, because of %s\n", name.c_str(), why.get<std::string>().c_str());
  const auto& checkpoints = result["checkpoints"];
  std::vector<std::string> fit = checkpoints["fit"], differ = checkpoints["differ"];
  if (!fit.empty()) std::printf("\nweights fit: %s\n", join(fit).c_str());
  if (!differ.empty()) std::printf("weights don't fit: %s\n", join(differ).c_str());
  std::printf("%s\n",
              checkpoints["resume"].get<bool>() ? "a run of one can be resumed with the other" : "a run of one can't be resumed with the other");
  if (!result.contains("images_per_second")) return;
  const auto& speed = result["images_per_second"];
  std::printf("speed: %.0f -> %.0f images/s (%+.0f %%; %+.0f to %+.0f %% in three turns)\n", speed["from"].get<double>(), speed["to"].get<double>(),
              100 * speed["change"].get<double>(), 100 * speed["change_low"].get<double>(), 100 * speed["change_high"].get<double>());
  if (speed["noisy"].get<bool>()) std::printf("the machine was too noisy to tell: measure longer, or when it does nothing else\n");
}

}  // namespace

int diff(const DiffArgs& args) {
  ordered_json result = app::diff(args.a, args.b);
  if (args.seconds > 0) result["images_per_second"] = app::speeds(args.a, args.b, args.seconds, say);
  if (args.json) {
    std::cout << json_text(result, 2) << "\n";
  } else {
    print_text(result);
  }
  return 0;
}

}  // namespace flowrun::cli
