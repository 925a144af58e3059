// Every shipped pipeline, in one process.
#include <algorithm>
#include <filesystem>
#include <gtest/gtest.h>

#include "support/app_files.h"
#include "support/places.h"
#include "tools/app/load/check.h"

namespace flowrun::app {
namespace {

namespace fs = std::filesystem;

/// Without parts, sweeps and bases, whose names begin with _: what uses or extends parts and bases completes them. Examples in folders are
/// built or read by tests of their own.
std::vector<fs::path> shipped() {
  std::vector<fs::path> out;
  const auto take = [&](const fs::path& path) {
    const std::string name = path.filename().string();
    if (name.ends_with(".json") && !name.ends_with(".sweep.json") && !name.starts_with("_") && path.parent_path().filename() != "parts")
      out.push_back(path);
  };
  for (const fs::directory_entry& entry : fs::recursive_directory_iterator(test::source_dir() / "pipelines")) take(entry.path());
  for (const fs::directory_entry& entry : fs::directory_iterator(test::source_dir() / "examples")) take(entry.path());
  std::sort(out.begin(), out.end());
  return out;
}

TEST(Shipped, PipelinesHaveNoFaultsAndExpandToThemselves) {
  const io::test::TemporaryDirectory dir;
  const std::vector<fs::path> files = shipped();
  EXPECT_GT(files.size(), 250);
  for (const fs::path& file : files) {
    try {
      const nlohmann::ordered_json resolved = expand({.file = file.string()});
      io::test::put_file(dir / "resolved.json", resolved.dump());
      EXPECT_EQ(expand({.file = (dir / "resolved.json").string()}), resolved) << file;
    } catch (const PipelineError& error) {  // with all faults
      ADD_FAILURE() << file << ": " << error.what();
    }
  }
}

}  // namespace
}  // namespace flowrun::app
