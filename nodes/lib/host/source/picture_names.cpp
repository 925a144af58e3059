#include "nodes/lib/host/source/picture_names.h"

#include <algorithm>
#include <array>
#include <cctype>

#include "io/error.h"
#include "io/file.h"

namespace flowrun::source {

namespace fs = std::filesystem;

std::string_view trimmed(std::string_view text) {
  const size_t begin = text.find_first_not_of(" \t\r");
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(" \t\r") - begin + 1);
}

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return out;
}

std::vector<std::string> fields(std::string_view line, char separator, bool* closed) {
  std::vector<std::string> out(1);
  bool quoted = false;
  for (size_t i = 0; i < line.size(); ++i) {
    const char c = line[i];
    if (quoted && c == '"' && i + 1 < line.size() && line[i + 1] == '"') {
      out.back() += line[++i];
    } else if (c == '"' && (quoted || out.back().empty())) {
      quoted = !quoted;
    } else if (c == separator && !quoted) {
      out.emplace_back();
    } else {
      out.back() += c;
    }
  }
  for (std::string& field : out) field = trimmed(field);
  if (closed != nullptr) *closed = !quoted;
  return out;
}

std::string_view read_text(const fs::path& file, std::vector<uint8_t>& bytes) {
  io::read_file(file, bytes);
  std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  if (text.starts_with("\xef\xbb\xbf")) text.remove_prefix(3);
  if (text.find('\0') != std::string_view::npos) throw io::Error("the list " + file.string() + " is no text: it holds zero bytes");
  return text;
}

bool names_paths(const std::string& column) {
  static constexpr std::array paths = {"path",  "file",       "filename", "file_name", "filepath", "file_path",
                                       "image", "image_path", "img",      "img_path",  "picture"};
  return std::find(paths.begin(), paths.end(), lower(column)) != paths.end();
}

PictureNames::PictureNames(const std::vector<std::string_view>& names, const fs::path& root) : root_((root / "").lexically_normal().string()) {
  for (size_t i = 0; i < names.size(); ++i) {
    const auto [place, is_new] = places_.emplace(names[i].substr(names[i].rfind('/') + 1), i);
    if (!is_new) place->second = ambiguous;
  }
  for (size_t i = 0; i < names.size(); ++i) places_[names[i]] = i;
}

std::optional<size_t> PictureNames::find(std::string_view text) const {
  if (const auto place = places_.find(text); place != places_.end()) return place->second;
  const std::string path = fs::path(text).lexically_normal().string();
  if (const auto place = places_.find(path); place != places_.end()) return place->second;
  if (!path.starts_with(root_)) return {};
  const auto place = places_.find(std::string_view(path).substr(root_.size()));
  return place == places_.end() ? std::nullopt : std::optional(place->second);
}

size_t PictureNames::require(const std::string& path, const std::string& where) const {
  const auto place = find(path);
  if (!place) throw io::Error(where + "the folder has no file \"" + path + "\"; paths are relative to the folder, one a line");
  if (*place == ambiguous) throw io::Error(where + "several files are called \"" + path + "\"; write their paths in the folder");
  return *place;
}

}  // namespace flowrun::source
