#include "tools/flowrun/run/disk.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "graph/error.h"
#include "graph/period.h"
#include "io/run_directory.h"
#include "tools/flowrun/json_files.h"
#include "tools/flowrun/text.h"

namespace flowrun::tool {
namespace {

using nlohmann::ordered_json;
namespace fs = std::filesystem;

/// The most checkpoints that lie there at once; 0: the pipeline writes none.
int64_t most_at_once(const ordered_json& resolved, const RunInfo& run) {
  int64_t most = 0;
  for (const auto& node : resolved.at("nodes")) {
    if (words_at(node, "type") != "report.checkpoint") continue;
    const auto every = Period::parse(words_at(node, "every"));
    const int64_t length = every ? every->length(run) : 1, steps = length > 0 ? length : INT64_MAX;  // never: at the end alone
    const int64_t written = run.last_step / steps + (run.last_step % steps == 0 ? 0 : 1);
    most = std::max(most, std::min(node.value("keep", int64_t{1}) + 1, std::max<int64_t>(1, written)));
  }
  return most;
}

double bytes_under(const fs::path& folder) {
  double sum = 0;
  std::error_code error;
  for (auto it = fs::recursive_directory_iterator(folder, error); !error && it != fs::recursive_directory_iterator(); it.increment(error)) {
    std::error_code ignored;
    if (it->is_regular_file(ignored)) sum += static_cast<double>(it->file_size(ignored));
  }
  return sum;
}

std::string in_words(double bytes) {
  const double mib = bytes / (1 << 20);
  return mib < 1024 ? print("%.1f MiB", mib) : print("%.1f GiB", mib / 1024);
}

}  // namespace

void require_room(Engine& engine, const ordered_json& resolved, const fs::path& run) {
  const int64_t count = most_at_once(resolved, engine.info());
  if (count == 0) return;
  std::error_code error;
  const fs::space_info space = fs::space(run, error);
  if (error || space.available == 0 || space.available == static_cast<std::uintmax_t>(-1)) return;  // some network disks don't say
  const auto one = static_cast<double>(engine.footprint().saved), free = static_cast<double>(space.available);
  const double needed = one * static_cast<double>(count) - bytes_under(io::RunPaths(run).checkpoints);
  if (needed <= free) return;
  throw RunError("the checkpoints of this run take " + in_words(one * static_cast<double>(count)) + " (" + std::to_string(count) + " at once, " +
                 in_words(one) + " each), but the disk of " + run.string() + " has only " + in_words(free) +
                 " left: free some space, keep fewer (report.checkpoint's keep), or choose another --out");
}

}  // namespace flowrun::tool
