#include "tools/app/load/data_kind.h"

#include <filesystem>

#include "graph/text/error.h"

namespace flowrun::app {
namespace {

namespace fs = std::filesystem;
using nlohmann::ordered_json;

bool has_file(const fs::path& folder, const char* extension) {
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(folder, ignored)) {
    if (entry.path().extension() == extension) return true;
  }
  return false;
}

/// The kind of source that reads the data, told from what lies there.
std::string kind_of(const NamedData& named) {
  if (!named.as.empty()) return named.as;
  const fs::path data(named.path);
  const std::string extension = data.extension();
  if (extension == ".parquet") return "parquet";
  if (named.path.find("://") != std::string::npos || extension == ".flowrun") return "shards";
  if (!fs::exists(data))
    throw PipelineError("error: there is no " + named.path + ": give a folder of pictures, a list of them, shards or Parquet files");
  if (fs::is_directory(data)) {
    if (fs::exists(data / "index.flowrun")) return "shards";
    if (has_file(data, ".tar") || has_file(data, ".zst")) {
      throw PipelineError("error: " + named.path + " holds shards without an index: flowrun index " + named.path + " writes it");
    }
    return has_file(data, ".parquet") ? "parquet" : "folder";
  }
  if (extension == ".txt" || extension == ".csv" || extension == ".tsv") return "folder";
  throw PipelineError(
      "error: " + named.path +
      " can't be read as data: give a folder of pictures, a list of them (.txt, .csv, .tsv), shards (their folder or index), or Parquet files");
}

}  // namespace

ordered_json source_of(const NamedData& data) {
  const std::string kind = kind_of(data);
  std::error_code ignored;
  if (kind != "folder" || fs::is_directory(data.path, ignored)) return {{"type", "source." + kind}, {"path", data.path}};
  const fs::path beside = fs::path(data.path).parent_path();
  return {{"type", "source.folder"}, {"path", !data.folder.empty() ? data.folder : beside.empty() ? "." : beside.string()}, {"list", data.path}};
}

}  // namespace flowrun::app
