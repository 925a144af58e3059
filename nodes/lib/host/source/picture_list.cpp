#include "nodes/lib/host/source/picture_list.h"

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include "io/error.h"
#include "nodes/lib/host/source/picture_names.h"

namespace flowrun::source {
namespace {

namespace fs = std::filesystem;

/// A line of the list: the path, and the label after it.
struct Entry {
  std::string path, label;
  bool has_label = false;
};

class Reader {
 public:
  Reader(const fs::path& list, const PictureNames& names) : list_(list), names_(names) {
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
    static constexpr std::array labels = {"label", "class", "target", "category", "class_name", "class_id", "label_id", "y"};
    for (const char c : {',', '\t', ';'}) {
      const std::vector<std::string> columns = fields(line, c);
      const auto place = [&](auto is) { return static_cast<size_t>(std::find_if(columns.begin(), columns.end(), is) - columns.begin()); };
      const size_t path = place(names_paths);
      if (path == columns.size() || names_.find(columns[path])) continue;
      separator_ = columns.size() > 1 || separator_ == 0 ? c : separator_;
      path_column_ = path;
      label_column_ = place([](const std::string& name) { return std::find(labels.begin(), labels.end(), lower(name)) != labels.end(); });
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
  const PictureNames& names_;
  char separator_ = 0;
  size_t path_column_ = 0, label_column_ = 1;
  bool first_ = true;
};

}  // namespace

PictureList read_picture_list(const fs::path& list, const std::vector<std::string_view>& names, const fs::path& root) {
  std::vector<uint8_t> bytes;
  std::string_view rest = read_text(list, bytes);
  const PictureNames places(names, root);
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
    const size_t place = places.require(entry->path, where);
    size_t& first = line_of[place];
    if (first != 0) throw io::Error(where + "\"" + entry->path + "\" was named in line " + std::to_string(first) + " already");
    first = number, label_of[place] = entry->label, labelled += entry->has_label, ++taken;
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
