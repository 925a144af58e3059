// mask-report: the statistics of the masks that a pipeline draws.
#include <cmath>
#include <cstdio>

#include "graph/text/json_text.h"
#include "io/file.h"
#include "tools/app/draw/masks.h"
#include "tools/flowrun/cli/commands.h"

namespace flowrun::cli {
namespace {

using namespace app;

void print_line(const char* name, const std::vector<double>& values) {
  std::printf("%-19s", name);
  for (const double value : values) std::printf(" %.2f", value);
  std::printf("\n");
}

void print(const std::string& title, const mask::MaskSummary& summary) {
  std::printf("%s\n\n            mean     sd    min    max\n", title.c_str());
  const auto row = [](const char* name, const mask::Spread& s, const char* what) {
    std::printf("%-10s %5.3f  %5.3f  %5.3f  %5.3f   %s\n", name, s.mean, s.sd, s.min, s.max, what);
  };
  row("seen", summary.seen, "of the patches are visible to the student, per group");
  row("target", summary.target, "of the patches are in a target region, per mask");
  std::printf("adjacency  %5.3f                        of the target patches have a visible neighbour\n", summary.adjacency);
  std::printf("distance   %5.2f                        patches from a target to the nearest visible one\n\n", summary.distance);
  if (summary.mostly_rectangles()) {
    std::printf("regions, height x width\n");
    for (const auto& [size, share] : summary.sizes) {
      std::printf("  %-6s %5.1f %%  %s\n", size_name(size).c_str(), 100 * share,
                  std::string(static_cast<size_t>(std::lround(share * 60)), '#').c_str());
    }
    std::printf("\n");
  }
  print_line("visible per row", summary.row_visibility);
  print_line("visible per column", summary.column_visibility);
}

}  // namespace

int mask_report(const MaskReportArgs& args) {
  const DrawnMasks masks = app::mask_report(args);
  if (args.json) {
    std::printf("%s\n", json_text(masks_json(masks.summary), 2).c_str());
  } else {
    print(masks.title, masks.summary);
  }
  if (!args.out.empty()) io::write_file_atomic(args.out, masks.picture);
  return 0;
}

}  // namespace flowrun::cli
