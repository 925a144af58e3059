#include "io/folders/image_folder.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <functional>
#include <utility>

#include "io/codec/image_format.h"
#include "io/error.h"
#include "io/workers.h"

namespace flowrun::io {

namespace {

namespace fs = std::filesystem;

// The names in one folder, sorted by bytes: std::string compares as unsigned char in any locale.
struct Listing {
  std::vector<std::string> folders;
  std::vector<std::string> images;
  std::vector<std::string> others;
  std::vector<std::string> tool_folders;
};

Listing list(const fs::path& folder) {
  Listing listing;
  std::error_code error;
  for (auto it = fs::directory_iterator(folder, error); !error && it != fs::directory_iterator(); it.increment(error)) {
    std::string name = it->path().filename().string();
    std::error_code dangling;  // a dangling link is not a folder; reading it will report the fault
    if (it->is_directory(dangling)) {
      (is_tool_folder(name) ? listing.tool_folders : listing.folders).push_back(std::move(name));
    } else if (name.starts_with('.')) {
      continue;
    } else if (is_image_name(name)) {
      listing.images.push_back(std::move(name));
    } else {
      listing.others.push_back(std::move(name));
    }
  }
  if (error) throw system_error("list", folder, error.value());
  for (auto* names : {&listing.folders, &listing.images, &listing.others, &listing.tool_folders}) std::sort(names->begin(), names->end());
  return listing;
}

std::string extension_of(const std::string& name) {
  const size_t dot = name.rfind('.');
  if (dot == std::string::npos || dot == 0) return "";
  std::string extension = name.substr(dot);
  for (char& c : extension) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return extension;
}

class Lister {
 public:
  explicit Lister(const fs::path& root) { out_.root = root; }

  ImageFolder run() {
    const Listing top = list(out_.root);
    pass_over(top, "");
    seen_[fs::canonical(out_.root)] = "";
    for (const std::string& name : top.folders) add_class_folder(name);
    const bool flat = out_.classes.empty();
    for (const std::string& name : top.images) {
      out_.files.push_back({name});
      if (!flat) out_.strays.push_back(name);
    }
    const bool deeper = take_folders_below();
    if (!out_.strays.empty() || flat || deeper) {
      std::sort(out_.files.begin(), out_.files.end(), [](const ImageFile& a, const ImageFile& b) { return a.path < b.path; });
    } else {
      std::sort(out_.files.begin(), out_.files.end(),
                [](const ImageFile& a, const ImageFile& b) { return a.label != b.label ? a.label < b.label : a.path < b.path; });
    }
    refuse_empty();
    measure();
    return std::move(out_);
  }

 private:
  /// Its pictures are a class, if there are any.
  void add_class_folder(const std::string& name) {
    const size_t before = out_.files.size();
    const auto label = static_cast<int>(out_.classes.size());
    std::vector<std::string> below;
    size_t own = 0;
    collect(name, name, label, [&](const Listing& listing) {
      own = listing.images.size();
      below = listing.folders;
    });
    if (out_.files.size() == before) return;
    out_.classes.push_back(name);
    // If there is a single class folder, its folders may be the classes.
    if (out_.classes.size() > 1 || own > 0) return out_.nested.clear();
    for (const std::string& folder : below) {
      const std::string prefix = name + "/" + folder + "/";
      const bool filled = std::any_of(out_.files.begin(), out_.files.end(), [&](const ImageFile& file) { return file.path.starts_with(prefix); });
      if (filled) out_.nested.push_back(folder);
    }
  }

  /// If a single class folder holds only folders, these are the classes. Pictures keep their order.
  bool take_folders_below() {
    if (out_.classes.size() != 1 || out_.nested.size() < 2 || !out_.strays.empty()) return false;
    const size_t prefix = out_.classes[0].size() + 1;
    for (ImageFile& file : out_.files) {
      const std::string name = file.path.substr(prefix, file.path.find('/', prefix) - prefix);
      file.label = static_cast<int>(std::lower_bound(out_.nested.begin(), out_.nested.end(), name) - out_.nested.begin());
    }
    out_.around = std::exchange(out_.classes, out_.nested)[0];
    return true;
  }

  /// Appends what is in the folder PATH (from the root) and below. A folder that links reach again is skipped, to avoid
  /// endless loops; but it may be in several class folders.
  void collect(const std::string& path, const std::string& class_folder, int label, const std::function<void(const Listing&)>& look = {}) {
    const fs::path real = fs::canonical(out_.root / path);
    const auto [place, is_new] = seen_.try_emplace(real, class_folder);
    if (!is_new) {
      if (place->second.empty() || place->second == class_folder) return;
      out_.shared.try_emplace(path, place->second + " and " + class_folder);
      place->second = class_folder;
    }
    const Listing listing = list(out_.root / path);
    if (look) look(listing);
    pass_over(listing, path + "/");
    for (const std::string& name : listing.images) out_.files.push_back({path + "/" + name, label});
    for (const std::string& name : listing.folders) collect(path + "/" + name, class_folder, label);
  }

  void pass_over(const Listing& listing, const std::string& prefix) {
    for (const std::string& name : listing.tool_folders) {
      if (!name.starts_with('.')) out_.tool_folders.push_back(prefix + name);
    }
    for (const std::string& name : listing.others) {
      ++out_.passed_over[extension_of(name)];
      const bool picture = is_unread_image_name(name);
      if (!out_.first_passed_over.empty() && (first_is_picture_ || !picture)) continue;
      out_.first_passed_over = prefix + name, first_is_picture_ = picture;
    }
  }

  void refuse_empty() const {
    if (!out_.files.empty()) return;
    uint64_t others = 0;
    for (const auto& [extension, count] : out_.passed_over) others += count;
    throw Error("no " + image_extensions("or") + " files in " + out_.root.string() + " or below it, but " + std::to_string(others) + " other files" +
                (out_.first_passed_over.empty() ? "" : ", such as " + out_.first_passed_over));
  }

  /// Sizes, several at a time: on a server each of a million files costs a round trip.
  void measure() {
    constexpr size_t some = 256, team = 8;
    const size_t pieces = (out_.files.size() + some - 1) / some;
    for_each_parallel(pieces, pieces > 8 ? static_cast<int>(team) : 1, [&](size_t piece) {
      const size_t end = std::min(out_.files.size(), (piece + 1) * some);
      for (size_t i = piece * some; i < end; ++i) {
        std::error_code unknown;
        const uintmax_t size = fs::file_size(out_.root / out_.files[i].path, unknown);
        out_.files[i].size = unknown ? 0 : size;
      }
    });
  }

  ImageFolder out_;
  std::map<fs::path, std::string> seen_;  // the class folder from which each folder was reached last; empty: the root
  bool first_is_picture_ = false;
};

void check_is_folder(const fs::path& path) {
  std::error_code error;
  const fs::file_status status = fs::status(path, error);
  if (fs::is_directory(status)) return;
  if (fs::exists(status)) throw Error(path.string() + " is a file, not an image folder");
  if (status.type() != fs::file_type::not_found) throw system_error("examine", path, error.value());
  // Goes up to an existing folder and lists its contents.
  fs::path parent = path;
  while (parent.has_parent_path() && parent != parent.parent_path() && !fs::is_directory(parent, error)) {
    parent = parent.parent_path();
  }
  if (!fs::is_directory(parent, error)) parent = ".";
  std::string text = "there is no folder " + path.string() + "; " + parent.string() + " holds ";
  constexpr size_t most = 8;
  const std::vector<std::string> folders = list(parent).folders;
  if (folders.empty()) text += "no folders";
  for (size_t i = 0; i < std::min(folders.size(), most); ++i) text += (i == 0 ? "" : ", ") + folders[i];
  if (folders.size() > most) text += " and " + std::to_string(folders.size() - most) + " more";
  throw Error(text);
}

}  // namespace

bool is_tool_folder(const std::string& name) {
  static constexpr std::array names = {"__MACOSX",     "@eaDir",   "@Recycle",   "@Recently-Snapshot", "#recycle",   "#snapshot",
                                       "$RECYCLE.BIN", "RECYCLER", "lost+found", "__pycache__",        "__MACOSX__", "System Volume Information",
                                       "FOUND.000"};
  return name.starts_with('.') || std::any_of(names.begin(), names.end(), [&](const char* tool) { return name == tool; });
}

ImageFolder list_image_folder(const fs::path& path) {
  check_is_folder(path);
  return Lister(path).run();
}

}  // namespace flowrun::io
