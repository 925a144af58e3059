#include "nodes/source/selection.h"

#include <algorithm>
#include <cmath>
#include <fstream>
#include <unordered_map>

#include "graph/rng.h"
#include "io/error.h"

namespace flowrun::source {
namespace {

constexpr size_t ambiguous = SIZE_MAX;

/// Index of each path, and of each file name that only one path ends in.
std::unordered_map<std::string, size_t> index_names(const std::vector<io::ImageFile>& files) {
  std::unordered_map<std::string, size_t> places;
  for (size_t i = 0; i < files.size(); ++i) {
    const std::string name = files[i].path.substr(files[i].path.rfind('/') + 1);
    const auto [place, is_new] = places.emplace(name, i);
    if (!is_new) place->second = ambiguous;
  }
  for (size_t i = 0; i < files.size(); ++i) places[files[i].path] = i;
  return places;
}

std::string trimmed(std::string line) {
  while (!line.empty() && (line.back() == '\r' || line.back() == ' ' || line.back() == '\t')) line.pop_back();
  return line;
}

}  // namespace

std::vector<io::ImageFile> take_listed(const std::vector<io::ImageFile>& files, const std::filesystem::path& list) {
  std::ifstream lines(list);
  if (!lines) throw io::system_error("read the list", list, errno);
  const auto places = index_names(files);
  std::vector<size_t> line_of(files.size(), 0);
  size_t number = 0, taken = 0;
  for (std::string line; std::getline(lines, line);) {
    ++number;
    line = trimmed(line);
    if (line.empty()) continue;
    const std::string where = list.string() + ":" + std::to_string(number) + ": ";
    const auto place = places.find(line);
    if (place == places.end()) throw io::Error(where + "the folder has no file \"" + line + "\"; paths are relative to the folder, one a line");
    if (place->second == ambiguous) throw io::Error(where + "several files are called \"" + line + "\"; write their paths in the folder");
    size_t& first = line_of[place->second];
    if (first != 0) throw io::Error(where + "\"" + line + "\" was named in line " + std::to_string(first) + " already");
    first = number, ++taken;
  }
  if (taken == 0) throw io::Error("the list " + list.string() + " names no file");
  std::vector<io::ImageFile> out;
  for (size_t i = 0; i < files.size(); ++i) {
    if (line_of[i] != 0) out.push_back(files[i]);
  }
  return out;
}

std::vector<io::ImageFile> take_per_class(const io::ImageFolder& folder, int64_t count, uint64_t seed) {
  if (folder.classes.empty()) throw io::Error("per_class needs class folders, but " + folder.root.string() + " holds images itself");
  std::vector<io::ImageFile> out;
  size_t begin = 0;  // files are sorted by class
  for (size_t label = 0; label < folder.classes.size(); ++label) {
    size_t end = begin;
    while (end < folder.files.size() && folder.files[end].label == static_cast<int>(label)) ++end;
    const size_t have = end - begin, want = static_cast<size_t>(count);
    if (have < want) {
      throw io::Error("class " + folder.classes[label] + " has " + std::to_string(have) + " images, fewer than per_class = " + std::to_string(want));
    }
    const Permutation order(have, seed, hash_text("source.per_class"), label);
    std::vector<size_t> chosen;
    for (size_t i = 0; i < want; ++i) chosen.push_back(begin + order(i));
    std::sort(chosen.begin(), chosen.end());
    for (const size_t i : chosen) out.push_back(folder.files[i]);
    begin = end;
  }
  return out;
}

std::vector<size_t> part_indices(size_t count, const std::string& part, double share, uint64_t seed) {
  std::vector<bool> held(count, false);
  const auto wanted = static_cast<int64_t>(std::llround(share * static_cast<double>(count)));
  const auto number = static_cast<size_t>(std::clamp<int64_t>(wanted, 1, std::max<int64_t>(1, static_cast<int64_t>(count) - 1)));
  const Permutation order(count, seed, hash_text("source.holdout"), 0);
  for (size_t i = 0; i < std::min(number, count); ++i) held[order(i)] = true;
  std::vector<size_t> out;
  for (size_t i = 0; i < count; ++i) {
    if (part == "all" || held[i] == (part == "held_out")) out.push_back(i);
  }
  return out;
}

}  // namespace flowrun::source
