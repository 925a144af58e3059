#include <algorithm>
#include <filesystem>
#include <set>

#include "graph/node.h"
#include "nodes/lib/host/source/grid_file.h"
#include "nodes/lib/host/types/host_types.h"

namespace flowrun {
namespace {

struct Grids {
  static constexpr NodeInfo info{
      .type = "source.grids",
      .brief = "Grids of feature vectors in safetensors files: of whole slides whose tiles another encoder has seen, for example (MOOZY).",
      .scope = Scope::source,
      .details =
          "Each file holds features [H, W, C], F32, F16 or BF16, and may hold valid [H, W], BOOL or U8; cells that are not valid become zeros. Files "
          "are found in all subfolders and sorted by name. Where all lie in subfolders the first of these is the class."};
  struct Ports {
    Out<FeatureGrid> grid{"grid", "H W C float32."};
    Out<Label> label{"label", "Index of the class folder, -1 without class folders."};
    void describe(auto& port) { port(grid, label); }
  };
  struct Params {
    std::string path;
    int64_t limit = 0;
    void describe(auto& param) {
      param.movable().required("path", path, "The folder; relative to where the program is started.");
      param("limit", limit, not_negative, "Takes only this many files, spread evenly over the list; 0: all.");
    }
  };
  Params params;

  void open(const OpenContext&) {
    namespace fs = std::filesystem;
    if (!fs::is_directory(params.path)) throw NodeError("there is no folder " + params.path);
    std::vector<std::string> all;
    for (const fs::directory_entry& entry : fs::recursive_directory_iterator(params.path, fs::directory_options::follow_directory_symlink)) {
      if (entry.is_regular_file() && entry.path().extension() == ".safetensors") all.push_back(entry.path().lexically_relative(params.path).string());
    }
    if (all.empty()) throw NodeError("there is no .safetensors file in " + params.path);
    std::ranges::sort(all);
    const std::vector<std::string> classes = classes_of(all);
    data_ = {.place = params.path, .classes = classes};
    files_.clear(), labels_.clear();
    const size_t count = params.limit > 0 ? std::min(all.size(), static_cast<size_t>(params.limit)) : all.size();
    for (size_t i = 0; i < count; ++i) {
      const std::string& name = all[i * all.size() / count];
      files_.push_back(name);
      labels_.push_back(classes.empty() ? -1 : std::ranges::lower_bound(classes, folder_of(name)) - classes.begin());
      data_.add(name, fs::file_size(fs::path(params.path) / name));
    }
  }
  uint64_t size() const { return files_.size(); }
  std::string key(uint64_t sample) const { return path_of(sample).string(); }
  SourceData data() const { return data_; }
  void map_labels(const std::vector<int64_t>& labels) {
    for (int64_t& label : labels_) {
      if (label >= 0) label = labels[static_cast<size_t>(label)];
    }
  }

  void run(Ports& port, const SampleContext& context) const {
    source::read_grid(path_of(context.sample), *port.grid);
    *port.label = {labels_[context.sample], {}};
  }

 private:
  static std::string folder_of(const std::string& name) {
    const size_t slash = name.find('/');
    return slash == std::string::npos ? "" : name.substr(0, slash);
  }
  static std::vector<std::string> classes_of(const std::vector<std::string>& files) {
    std::set<std::string> folders;
    for (const std::string& file : files) folders.insert(folder_of(file));
    return folders.contains("") ? std::vector<std::string>() : std::vector<std::string>(folders.begin(), folders.end());
  }
  std::filesystem::path path_of(uint64_t sample) const { return std::filesystem::path(params.path) / files_[sample]; }

  std::vector<std::string> files_;
  std::vector<int64_t> labels_;
  SourceData data_;
};

FLOWRUN_NODE(Grids);

}  // namespace
}  // namespace flowrun
