// report: the page of a run.
#include "tools/flowrun/cli/report.h"

#include <iostream>
#include <nlohmann/json.hpp>

#include "graph/text/json_text.h"
#include "tools/app/results/report.h"

namespace flowrun::cli {

int report(const ReportArgs& args) {
  const std::filesystem::path out = args.out.empty() ? std::filesystem::path(args.run) / "report.html" : std::filesystem::path(args.out);
  app::write_report(args.run, out, args.trust);
  std::cout << (args.json ? json_text(nlohmann::ordered_json{{"report", out.string()}}, 2) : out.string()) << '\n';
  return 0;
}

}  // namespace flowrun::cli
