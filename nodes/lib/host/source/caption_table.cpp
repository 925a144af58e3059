#include "nodes/lib/host/source/caption_table.h"

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include "io/error.h"
#include "nodes/lib/host/source/picture_names.h"

namespace flowrun::source {
namespace {

bool names_captions(const std::string& column) {
  static constexpr std::array known = {"caption", "captions", "text", "title", "sentence", "raw", "description"};
  return std::find(known.begin(), known.end(), lower(column)) != known.end();
}

struct Columns {
  size_t path = 0, caption = 1;
};

/// If the fields of the first line name the columns.
std::optional<Columns> columns_of(const std::vector<std::string>& names) {
  const auto place = [&](auto is) { return static_cast<size_t>(std::find_if(names.begin(), names.end(), is) - names.begin()); };
  const Columns found{place(names_paths), place(names_captions)};
  if (found.path == names.size() || found.caption == names.size()) return {};
  return found;
}

}  // namespace

std::vector<std::vector<std::string>> read_caption_table(const std::filesystem::path& table, const std::vector<std::string_view>& names,
                                                         const std::filesystem::path& root) {
  const std::string extension = lower(table.extension().string());
  if (extension != ".csv" && extension != ".tsv") throw io::Error("the table of captions " + table.string() + " must be a .csv or a .tsv file");
  const char separator = extension == ".csv" ? ',' : '\t';
  std::vector<uint8_t> bytes;
  std::string_view rest = read_text(table, bytes);
  const PictureNames places(names, root);
  std::vector<std::vector<std::string>> out(names.size());
  Columns columns;
  bool first = true, any = false;
  for (size_t number = 1; !rest.empty(); ++number) {
    const size_t end = std::min(rest.find('\n'), rest.size());
    const std::string_view line = trimmed(rest.substr(0, end));
    rest.remove_prefix(std::min(end + 1, rest.size()));
    if (line.empty()) continue;
    const std::string where = table.string() + ":" + std::to_string(number) + ": ";
    bool closed = true;
    const std::vector<std::string> parts = fields(line, separator, &closed);
    if (!closed) throw io::Error(where + "a quote is not closed in the line; a caption stands in one line");
    if (const auto named = columns_of(parts); std::exchange(first, false) && named) {
      columns = *named;
      continue;
    }
    if (columns.path >= parts.size()) throw io::Error(where + "the line has no path of a picture");
    const size_t place = places.require(parts[columns.path], where);
    if (columns.caption >= parts.size() || parts[columns.caption].empty()) {
      throw io::Error(where + "\"" + parts[columns.path] + "\" has no caption behind a " + (separator == ',' ? "comma" : "tab"));
    }
    out[place].push_back(parts[columns.caption]), any = true;
  }
  if (!any) throw io::Error("the table " + table.string() + " has no captions");
  return out;
}

}  // namespace flowrun::source
