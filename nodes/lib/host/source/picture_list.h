// Lists of pictures in the usual forms: one path a line, with or without a label, or a table.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace flowrun::source {

struct PictureList {
  std::vector<size_t> samples;      // indices of the names that are listed, ascending
  std::vector<std::string> labels;  // the label of each; empty: the list has no labels
};

/// Reads a list of some of `names`, which are paths from `root`.
/// - A line is a path as `find . `, `find ROOT` or `ls` print it; the base name alone will do where only one path ends in it.
/// - A label may stand behind the path, after a blank, a tab or a comma.
/// - A file called .csv or .tsv, or whose first line names the columns, is a table: the columns "path" (or "file",
///   "filename", "image", …) and "label" (or "class", "target", …), else the first and the second.
/// Empty lines and a byte order mark are passed over. Throws io::Error, with list and line, on a path that isn't there,
/// is ambiguous or was named before, on a line without a label among others that have one, on a list that names none,
/// and on a list of more than 4 GiB.
PictureList read_picture_list(const std::filesystem::path& list, const std::vector<std::string_view>& names, const std::filesystem::path& root);

}  // namespace flowrun::source
