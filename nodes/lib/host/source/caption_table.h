// Tables of captions: a picture and a text a line.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace flowrun::source {

/// The captions of each of `names`, which are paths from `root`, in the order of the table; several where a picture stands in several
/// lines. The table is .csv or .tsv; its columns are those that a first line calls path (or file, filename, image, …) and caption (or text,
/// title, sentence, raw), else the first and the second. A path is written as in lists (picture_list.h). Throws io::Error, with table and line, on
/// another extension, a path that is not there or is ambiguous, a missing or empty caption, a quote that the line does not close, and a table without
/// captions.
std::vector<std::vector<std::string>> read_caption_table(const std::filesystem::path& table, const std::vector<std::string_view>& names,
                                                         const std::filesystem::path& root);

}  // namespace flowrun::source
