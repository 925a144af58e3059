#include "io/image_folder.h"

#include <algorithm>
#include <cctype>
#include <set>

#include "io/error.h"

namespace flowrun::io {

namespace {

namespace fs = std::filesystem;

// What names one folder holds, sorted by bytes: std::string compares as unsigned char whatever the locale.
struct Listing {
  std::vector<std::string> folders;
  std::vector<std::string> images;
  size_t others = 0;
};

bool is_image_name(const std::string& name) {
  const size_t dot = name.rfind('.');
  if (dot == std::string::npos) return false;
  std::string extension = name.substr(dot + 1);
  for (char& c : extension) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return extension == "jpg" || extension == "jpeg" || extension == "png" || extension == "webp";
}

Listing list(const fs::path& folder) {
  Listing listing;
  std::error_code error;
  for (auto it = fs::directory_iterator(folder, error); !error && it != fs::directory_iterator(); it.increment(error)) {
    std::string name = it->path().filename().string();
    if (name.starts_with('.')) continue;
    std::error_code dangling;  // a link to nowhere is no folder; reading it will say what is wrong
    if (it->is_directory(dangling)) {
      listing.folders.push_back(std::move(name));
    } else if (is_image_name(name)) {
      listing.images.push_back(std::move(name));
    } else {
      ++listing.others;
    }
  }
  if (error) throw system_error("list", folder, error.value());
  std::sort(listing.folders.begin(), listing.folders.end());
  std::sort(listing.images.begin(), listing.images.end());
  return listing;
}

// Appends what is below FOLDER, which is called PREFIX from the root. OPEN holds the folders around it, so that a
// link to one of them does not go round for ever. Returns the number of other files.
size_t collect(const fs::path& folder, const std::string& prefix, const Listing& listing, int label, std::set<fs::path>& open,
               std::vector<ImageFile>& files) {
  size_t others = listing.others;
  for (const std::string& name : listing.images) files.push_back({prefix + name, label});
  for (const std::string& name : listing.folders) {
    const auto [place, is_new] = open.insert(fs::canonical(folder / name));
    if (!is_new) continue;
    others += collect(folder / name, prefix + name + "/", list(folder / name), label, open, files);
    open.erase(place);
  }
  return others;
}

void check_is_folder(const fs::path& path) {
  std::error_code error;
  const fs::file_status status = fs::status(path, error);
  if (fs::is_directory(status)) return;
  if (fs::exists(status)) throw Error(path.string() + " is a file; an image folder is needed");
  if (status.type() != fs::file_type::not_found) throw system_error("examine", path, error.value());
  // Goes up to what exists and tells what that holds.
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

ImageFolder list_image_folder(const fs::path& path) {
  check_is_folder(path);
  ImageFolder result;
  result.root = path;
  const Listing top = list(path);
  std::set<fs::path> open = {fs::canonical(path)};
  size_t others = top.others;
  if (!top.images.empty()) {
    others = collect(path, "", top, -1, open, result.files);
  } else {
    result.classes = top.folders;
    for (size_t label = 0; label < top.folders.size(); ++label) {
      const std::string& name = top.folders[label];
      open.insert(fs::canonical(path / name));
      others += collect(path / name, name + "/", list(path / name), static_cast<int>(label), open, result.files);
      open = {fs::canonical(path)};
    }
  }
  if (result.files.empty()) {
    throw Error("no .jpg, .jpeg, .png or .webp files in " + path.string() + " or below, but " + std::to_string(others) + " other files");
  }
  std::sort(result.files.begin(), result.files.end(),
            [](const ImageFile& a, const ImageFile& b) { return a.label != b.label ? a.label < b.label : a.path < b.path; });
  return result;
}

}  // namespace flowrun::io
