// Lines, fields and paths of lists and tables of pictures, as people write them.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace flowrun::source {

/// Without blanks, tabs and carriage returns at both ends.
std::string_view trimmed(std::string_view text);
/// ASCII alone.
std::string lower(std::string_view text);

/// The fields of a line, trimmed; quoted ones may hold the separator, and "" for a quote (RFC 4180). `closed`: whether the last quote is
/// closed.
std::vector<std::string> fields(std::string_view line, char separator, bool* closed = nullptr);

/// The text of a file, without a byte order mark; it lies in `bytes`. Throws io::Error for a file that holds zero bytes.
std::string_view read_text(const std::filesystem::path& file, std::vector<uint8_t>& bytes);

/// The names of columns that hold paths.
bool names_paths(const std::string& column);

/// Finds pictures by the paths that lists write: from the root, from elsewhere through the root, or the base name alone.
class PictureNames {
 public:
  /// `names` are paths from `root`, and live longer.
  PictureNames(const std::vector<std::string_view>& names, const std::filesystem::path& root);

  static constexpr size_t ambiguous = SIZE_MAX;
  /// Its index; `ambiguous` for the base name of several.
  std::optional<size_t> find(std::string_view text) const;
  /// Throws io::Error "WHERE…" when there is no such picture, or several.
  size_t require(const std::string& path, const std::string& where) const;

 private:
  std::unordered_map<std::string_view, size_t> places_;
  std::string root_;
};

}  // namespace flowrun::source
