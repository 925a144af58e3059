#include "tools/app/sweep/folders.h"

#include <nlohmann/json.hpp>
#include <set>
#include <sstream>
#include <vector>

#include "graph/contract/device.h"
#include "io/file.h"
#include "io/run/checkpoint.h"
#include "io/run/run_directory.h"
#include "tools/app/json_files.h"
#include "tools/app/run/data_record.h"
#include "tools/app/run/resume.h"

namespace flowrun::app {
namespace {

using nlohmann::ordered_json;
namespace fs = std::filesystem;

/// The files in a folder that no run wrote. Pictures belong to a run if its pipeline names them.
std::vector<std::string> foreign_files(const fs::path& run) {
  std::set<std::string> pictures;
  const ordered_json pipeline = read_json(io::RunPaths(run).pipeline);
  if (pipeline.contains("nodes")) {
    for (const auto& node : pipeline["nodes"]) pictures.insert(words_at(node, "file"));
  }
  std::vector<std::string> out;
  for (const auto& entry : fs::recursive_directory_iterator(run)) {
    const fs::path inside = entry.path().lexically_relative(run);
    const bool is_file = !entry.is_symlink() && (entry.is_regular_file() || entry.is_directory());
    const bool is_picture = inside.extension() == ".png" && pictures.contains(inside.string());
    if (!is_file || (!io::is_run_file(inside) && !is_picture)) out.push_back(inside.string());
  }
  return out;
}

}  // namespace

bool goes_on(const fs::path& run) { return io::newest_complete_checkpoint(io::RunPaths(run).checkpoints).has_value(); }

void require_own_run(const fs::path& run) {
  const std::string instead = "; move it away, or give another --out";
  if (!fs::exists(io::RunPaths(run).pipeline))
    throw RunError(run.string() + " holds files that no sweep wrote (it has no pipeline.resolved.json)" + instead);
  const std::vector<std::string> foreign = foreign_files(run);
  if (foreign.empty()) return;
  throw RunError(run.string() + " holds " + foreign[0] + (foreign.size() > 1 ? " and " + std::to_string(foreign.size() - 1) + " more" : "") +
                 ", which no run wrote: it is not begun again" + instead);
}

void make_room(const fs::path& run) {
  const io::FileDescriptor lock = io::lock_directory(run);
  require_own_run(run);
  std::vector<fs::path> entries;
  for (const auto& entry : fs::directory_iterator(run)) entries.push_back(entry.path());
  for (const fs::path& entry : entries) fs::remove_all(entry);
}

std::string other_pipeline(const fs::path& run, const PipelineArgs& now) {
  const io::RunPaths paths(run);
  CheckedPipeline pipeline = load_checked(now);
  try {
    const ordered_json stored = stored_pipeline(paths);
    adopt(pipeline.run, stored);
    resolve_device(pipeline.run);
    require_same(stored, resolved_json(pipeline), /*places=*/!DataRecord::read(paths));
  } catch (const std::exception& error) {  // the lines with two spaces in front name values
    std::string values, line;
    for (std::istringstream text(error.what()); std::getline(text, line);) {
      if (line.starts_with("  ")) values += "\n" + line;
    }
    return values.empty() ? std::string("\n  ") + error.what() : values;
  }
  return "";
}

}  // namespace flowrun::app
