#include "tools/app/load/shipped.h"

#include <algorithm>
#include <fstream>
#include <iterator>

#include "graph/contract/own_library.h"
#include "graph/text/error.h"
#include "tools/app/json_files.h"

namespace flowrun::app {
namespace {

namespace fs = std::filesystem;

std::string contents(const fs::path& file) {
  std::ifstream in(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

/// Relative to the folder.
std::vector<fs::path> files_of(const fs::path& folder) {
  std::vector<fs::path> files;
  for (const fs::directory_entry& entry : fs::recursive_directory_iterator(folder)) {
    if (entry.is_regular_file() && entry.path().extension() == ".json") files.push_back(entry.path().lexically_relative(folder));
  }
  // Files of a folder stand before its subfolders'.
  std::sort(files.begin(), files.end(),
            [](const fs::path& a, const fs::path& b) { return std::pair(a.parent_path(), a.filename()) < std::pair(b.parent_path(), b.filename()); });
  return files;
}

fs::path shipped(const std::string& name, const std::string& what) {
  fs::path found = own_share(name);
  if (!found.empty()) return found;
  throw RunError(what + " missing: looked for ../" + name + " and ../share/flowrun/" + name + " from " + own_folder().string() +
                 "; install Flowrun again");
}

}  // namespace

fs::path shipped_pipelines() { return shipped("pipelines", "the shipped pipelines are"); }

std::string pipeline_named(const std::string& word) {
  if (!word.starts_with(shipped_prefix)) return word;
  const fs::path file = shipped_pipelines() / word.substr(shipped_prefix.size());
  if (!fs::exists(file)) throw PipelineError("error: " + word + ": no such pipeline is shipped; flowrun pipelines lists them");
  return file.string();
}

fs::path shipped_hub() { return shipped("hub.py", "the file that writes model graphs is"); }
fs::path shipped_importers() { return shipped("importers", "the importers are"); }

std::vector<Shipped> list_shipped() {
  const fs::path folder = shipped_pipelines();
  std::vector<Shipped> all;
  for (const fs::path& file : files_of(folder)) {
    if (!file.filename().string().starts_with('_')) all.push_back({file.string(), words_at(read_json(folder / file), "about")});
  }
  return all;
}

int copy_shipped(const fs::path& to) {
  const fs::path folder = shipped_pipelines();
  const std::vector<fs::path> files = files_of(folder);
  for (const fs::path& file : files) {
    if (fs::exists(to / file) && contents(to / file) != contents(folder / file)) {
      throw PipelineError("error: " + (to / file).string() + " is there already, and differs: name another folder; nothing was copied");
    }
  }
  for (const fs::path& file : files) {
    fs::create_directories((to / file).parent_path());
    fs::copy_file(folder / file, to / file, fs::copy_options::overwrite_existing);
  }
  return static_cast<int>(files.size());
}

}  // namespace flowrun::app
