#include "nodes/source/selection.h"

#include <algorithm>
#include <cmath>
#include <fstream>
#include <numeric>
#include <unordered_map>

#include "graph/rng.h"
#include "io/error.h"

namespace flowrun::source {
namespace {

constexpr size_t ambiguous = SIZE_MAX;

/// Index of each path, and of each file name that only one path ends in.
std::unordered_map<std::string_view, size_t> index_names(const std::vector<std::string_view>& names) {
  std::unordered_map<std::string_view, size_t> places;
  for (size_t i = 0; i < names.size(); ++i) {
    const auto [place, is_new] = places.emplace(names[i].substr(names[i].rfind('/') + 1), i);
    if (!is_new) place->second = ambiguous;
  }
  for (size_t i = 0; i < names.size(); ++i) places[names[i]] = i;
  return places;
}

std::string trimmed(std::string line) {
  while (!line.empty() && (line.back() == '\r' || line.back() == ' ' || line.back() == '\t')) line.pop_back();
  return line;
}

}  // namespace

std::vector<size_t> take_listed(const std::vector<std::string_view>& names, const std::filesystem::path& list) {
  std::ifstream lines(list);
  if (!lines) throw io::system_error("read the list", list, errno);
  const auto places = index_names(names);
  std::vector<size_t> line_of(names.size(), 0);
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
  std::vector<size_t> out;
  for (size_t i = 0; i < names.size(); ++i) {
    if (line_of[i] != 0) out.push_back(i);
  }
  return out;
}

std::vector<size_t> take_per_class(const Candidates& candidates, const std::vector<size_t>& from, int64_t count, uint64_t seed) {
  std::vector<std::vector<size_t>> by_class(candidates.classes.size());
  for (const size_t i : from) {
    if (candidates.labels[i] < 0) throw io::Error("per_class needs labels, but " + candidates.without_labels);
    const auto label = static_cast<size_t>(candidates.labels[i]);
    if (label >= by_class.size()) by_class.resize(label + 1);
    by_class[label].push_back(i);
  }
  std::vector<size_t> out;
  for (size_t label = 0; label < by_class.size(); ++label) {
    const size_t have = by_class[label].size(), want = static_cast<size_t>(count);
    if (have < want) {
      const std::string name = candidates.classes.empty() ? std::to_string(label) : candidates.classes[label];
      throw io::Error("class " + name + " has " + std::to_string(have) + " images, fewer than per_class = " + std::to_string(want));
    }
    const Permutation order(have, seed, hash_text("source.per_class"), label);
    for (size_t i = 0; i < want; ++i) out.push_back(by_class[label][order(i)]);
  }
  std::sort(out.begin(), out.end());
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

namespace {

/// Those of `from` at the places.
std::vector<size_t> at_places(const std::vector<size_t>& from, const std::vector<size_t>& places) {
  std::vector<size_t> out;
  out.reserve(places.size());
  for (const size_t place : places) out.push_back(from[place]);
  return out;
}

}  // namespace

std::vector<size_t> Selection::choose(const Candidates& candidates) const {
  const auto seed = static_cast<uint64_t>(list_seed);
  std::vector<size_t> chosen;
  if (list.empty()) {
    chosen.resize(candidates.names.size());
    std::iota(chosen.begin(), chosen.end(), size_t{0});
  } else {
    chosen = take_listed(candidates.names, list);
  }
  if (per_class > 0) chosen = take_per_class(candidates, chosen, per_class, seed);
  if (part != "all") chosen = at_places(chosen, part_indices(chosen.size(), part, holdout, seed));
  const size_t all = chosen.size(), wanted = static_cast<size_t>(limit);
  if (wanted == 0 || wanted >= all) return chosen;
  std::vector<size_t> some;
  for (size_t i = 0; i < wanted; ++i) some.push_back(i * all / wanted);
  return at_places(chosen, some);
}

}  // namespace flowrun::source
