// verify: repeats the ledgers of a run, to check that its data are unchanged.
#include "tools/app/replay/verify.h"

#include <algorithm>
#include <cstdio>
#include <iostream>
#include <nlohmann/json.hpp>

#include "graph/text/json_text.h"
#include "tools/app/exit.h"
#include "tools/app/results/hex.h"
#include "tools/flowrun/cli/commands.h"
#include "tools/flowrun/cli/progress.h"

namespace flowrun::cli {
namespace {

using namespace app;
using nlohmann::ordered_json;

ordered_json to_json(const std::string& run, const std::vector<Compared>& steps, bool equal, bool same_data) {
  ordered_json list = ordered_json::array();
  for (const Compared& step : steps) {
    ordered_json entry = {{"step", step.step}, {"expected", hex(step.expected)}, {"found", hex(step.found)}, {"equal", step.expected == step.found}};
    if (!step.reason.empty()) entry["reason"] = step.reason;
    list.push_back(std::move(entry));
  }
  return {{"run", run}, {"equal", equal}, {"same_data", same_data}, {"steps", list}};
}

}  // namespace

int verify(const VerifyArgs& args) {
  TerminalProgress progress(args.json);
  const auto [compared, same_data] = app::verify(args, progress);
  const auto differs = [](const Compared& step) { return step.expected != step.found; };
  const auto differing = std::count_if(compared.begin(), compared.end(), differs);
  if (args.json) {
    std::cout << json_text(to_json(args.run, compared, differing == 0, same_data), 2) << "\n";
    return differing == 0 && same_data ? 0 : exit_failed;
  }
  for (const Compared& step : compared) {
    std::printf("step %lld: %s, %s\n", static_cast<long long>(step.step), hex(step.found).c_str(),
                differs(step) ? ("but the run had " + hex(step.expected)).c_str() : "as in the run");
  }
  if (differing == 0) {
    std::printf("%s: all %zu ledgers are those of the run%s\n", args.run.c_str(), compared.size(), same_data ? "" : ", but the data are not");
    return same_data ? 0 : exit_failed;
  }
  const auto first = std::find_if(compared.begin(), compared.end(), differs);
  std::printf("%s: %lld of %zu ledgers differ, the first at step %lld\n  %s\n", args.run.c_str(), static_cast<long long>(differing), compared.size(),
              static_cast<long long>(first->step), first->reason.c_str());
  return exit_failed;
}

}  // namespace flowrun::cli
