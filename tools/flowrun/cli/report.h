// The page of a run.
#pragma once

#include <string>

namespace flowrun::cli {

struct ReportArgs {
  std::string run;  // directory
  bool trust = false;
  std::string out;  // empty: report.html in it
  bool json = false;
};

/// Writes a page about a run directory; the run may still be going.
int report(const ReportArgs& args);

}  // namespace flowrun::cli
