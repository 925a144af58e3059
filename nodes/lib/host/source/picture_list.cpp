#include "nodes/lib/host/source/picture_list.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <optional>
#include <unordered_map>

#include "io/error.h"
#include "io/file.h"

namespace flowrun::source {
namespace {

namespace fs = std::filesystem;

constexpr size_t ambiguous = SIZE_MAX;

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

/// The fields of a line; quoted ones may hold the separator, and "" for a quote (RFC 4180).
std::vector<std::string> fields(std::string_view line, char separator) {
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
  return out;
}

/// Finds paths as lists write them.
class Names {
 public:
  Names(const std::vector<std::string_view>& names, const fs::path& root) : root_((root / "").lexically_normal().string()) {
    for (size_t i = 0; i < names.size(); ++i) {
      const auto [place, is_new] = places_.emplace(names[i].substr(names[i].rfind('/') + 1), i);
      if (!is_new) place->second = ambiguous;
    }
    for (size_t i = 0; i < names.size(); ++i) places_[names[i]] = i;
  }

  std::optional<size_t> find(std::string_view text) const {
    if (const auto place = places_.find(text); place != places_.end()) return place->second;
    const std::string path = fs::path(text).lexically_normal().string();
    if (const auto place = places_.find(path); place != places_.end()) return place->second;
    if (!path.starts_with(root_)) return {};
    const auto place = places_.find(std::string_view(path).substr(root_.size()));
    return place == places_.end() ? std::nullopt : std::optional(place->second);
  }

 private:
  std::unordered_map<std::string_view, size_t> places_;
  std::string root_;
};

/// A line of the list: the path, and the label after it.
struct Entry {
  std::string path, label;
  bool has_label = false;
};

class Reader {
 public:
  Reader(const fs::path& list, const Names& names) : list_(list), names_(names) {
    const std::string extension = lower(list.extension().string());
    if (extension == ".csv") separator_ = ',';
    if (extension == ".tsv") separator_ = '\t';
  }

  /// Nothing for the line that names the columns.
  std::optional<Entry> read(std::string_view line) {
    const bool first = std::exchange(first_, false);
    if (first && is_header(line)) return {};
    if (separator_ != 0) return from_table(line);
    if (names_.find(line)) return Entry{std::string(line)};
    for (const char c : {'\t', ',', ' '}) {
      const size_t at = line.rfind(c);
      if (at == std::string_view::npos || !names_.find(trimmed(line.substr(0, at)))) continue;
      return Entry{std::string(trimmed(line.substr(0, at))), std::string(trimmed(line.substr(at + 1))), true};
    }
    return Entry{std::string(line)};
  }

 private:
  /// Stores the columns if the line names them.
  bool is_header(std::string_view line) {
    static constexpr std::array paths = {"path",  "file",       "filename", "file_name", "filepath", "file_path",
                                         "image", "image_path", "img",      "img_path",  "picture"};
    static constexpr std::array labels = {"label", "class", "target", "category", "class_name", "class_id", "label_id", "y"};
    for (const char c : {',', '\t', ';'}) {
      const std::vector<std::string> columns = fields(line, c);
      const auto find = [&](const auto& known) {
        return std::find_if(columns.begin(), columns.end(),
                            [&](const std::string& name) { return std::find(known.begin(), known.end(), lower(name)) != known.end(); }) -
               columns.begin();
      };
      const auto path = static_cast<size_t>(find(paths));
      if (path == columns.size() || names_.find(columns[path])) continue;
      separator_ = columns.size() > 1 || separator_ == 0 ? c : separator_;
      path_column_ = path, label_column_ = static_cast<size_t>(find(labels));
      return true;
    }
    return false;
  }

  Entry from_table(std::string_view line) const {
    const std::vector<std::string> columns = fields(line, separator_);
    Entry entry;
    if (path_column_ < columns.size()) entry.path = columns[path_column_];
    entry.has_label = label_column_ < columns.size();
    if (entry.has_label) entry.label = columns[label_column_];
    return entry;
  }

  const fs::path& list_;
  const Names& names_;
  char separator_ = 0;
  size_t path_column_ = 0, label_column_ = 1;
  bool first_ = true;
};

std::string_view without_mark(std::string_view text) { return text.starts_with("\xef\xbb\xbf") ? text.substr(3) : text; }

}  // namespace

PictureList read_picture_list(const fs::path& list, const std::vector<std::string_view>& names, const fs::path& root) {
  std::vector<uint8_t> bytes;
  io::read_file(list, bytes);
  std::string_view rest = without_mark({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
  if (rest.find('\0') != std::string_view::npos) throw io::Error("the list " + list.string() + " is no text: it holds zero bytes");
  const Names places(names, root);
  Reader reader(list, places);
  std::vector<size_t> line_of(names.size(), 0);
  std::vector<std::string> label_of(names.size());
  size_t number = 0, taken = 0, labelled = 0;
  while (!rest.empty()) {
    const size_t end = std::min(rest.find('\n'), rest.size());
    const std::string_view line = trimmed(rest.substr(0, end));
    rest.remove_prefix(std::min(end + 1, rest.size()));
    ++number;
    if (line.empty()) continue;
    const auto entry = reader.read(line);
    if (!entry) continue;
    const std::string where = list.string() + ":" + std::to_string(number) + ": ";
    const auto place = places.find(entry->path);
    if (!place) throw io::Error(where + "the folder has no file \"" + entry->path + "\"; paths are relative to the folder, one a line");
    if (*place == ambiguous) throw io::Error(where + "several files are called \"" + entry->path + "\"; write their paths in the folder");
    size_t& first = line_of[*place];
    if (first != 0) throw io::Error(where + "\"" + entry->path + "\" was named in line " + std::to_string(first) + " already");
    first = number, label_of[*place] = entry->label, labelled += entry->has_label, ++taken;
    if (labelled != 0 && labelled != taken) {
      throw io::Error(where + (entry->has_label ? "a label stands behind \"" + entry->path + "\", but the lines before have none"
                                                : "\"" + entry->path + "\" has no label, as the lines before have"));
    }
  }
  if (taken == 0) throw io::Error("the list " + list.string() + " names no file");
  PictureList out;
  for (size_t i = 0; i < names.size(); ++i) {
    if (line_of[i] == 0) continue;
    out.samples.push_back(i);
    if (labelled != 0) out.labels.push_back(label_of[i]);
  }
  return out;
}

}  // namespace flowrun::source
