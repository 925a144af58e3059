#include "nodes/lib/host/source/selection.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "graph/contract/rng.h"
#include "io/error.h"
#include "io/folders/class_names.h"
#include "nodes/lib/host/source/picture_list.h"

namespace flowrun::source {
std::vector<size_t> take_per_class(const Candidates& candidates, const std::vector<size_t>& from, int64_t count, uint64_t seed) {
  std::vector<std::vector<size_t>> by_class(candidates.classes.size());
  for (const size_t i : from) {
    if (candidates.labels[i] < 0) throw io::Error("per_class needs labels, but " + candidates.without_labels);
    const auto label = static_cast<size_t>(candidates.labels[i]);
    if (label >= by_class.size()) by_class.resize(label + 1);
    by_class[label].push_back(i);
  }
  std::vector<bool> occurs(by_class.size());
  for (const int label : candidates.labels) {
    if (label >= 0 && static_cast<size_t>(label) < occurs.size()) occurs[static_cast<size_t>(label)] = true;
  }
  std::vector<size_t> out;
  for (size_t label = 0; label < by_class.size(); ++label) {
    if (!occurs[label]) continue;
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

/// The places that the stretches name.
std::vector<size_t> places_in(const std::vector<int64_t>& ranges, size_t count) {
  std::vector<size_t> places;
  int64_t before = 0;
  for (size_t i = 0; i < ranges.size(); i += 2) {
    if (i + 1 == ranges.size() || ranges[i] < before || ranges[i] >= ranges[i + 1] || ranges[i + 1] > static_cast<int64_t>(count)) {
      throw io::Error("ranges must be pairs of a first place and the one behind the last, ascending, within the " + std::to_string(count) +
                      " samples that are left");
    }
    for (int64_t at = ranges[i]; at < ranges[i + 1]; ++at) places.push_back(static_cast<size_t>(at));
    before = ranges[i + 1];
  }
  return places;
}

/// Labels of a list replace those of the source.
void label_as_listed(Candidates& candidates, const PictureList& list) {
  if (list.labels.empty()) return;
  io::ClassNames named = io::name_classes(list.labels);
  candidates.classes = std::move(named.classes), candidates.numbers = named.numbers;
  candidates.labels.assign(candidates.names.size(), -1);
  for (size_t i = 0; i < list.samples.size(); ++i) candidates.labels[list.samples[i]] = named.labels[i];
}

/// Labels become places in the given table.
void number_as_given(Candidates& candidates, const std::vector<std::string>& given) {
  if (candidates.classes.empty()) throw io::Error("classes are given, but " + candidates.without_labels);
  std::vector<bool> occurs(candidates.classes.size());
  for (const int label : candidates.labels) {
    if (label >= 0) occurs[static_cast<size_t>(label)] = true;
  }
  std::vector<int> places;
  std::string unknown;
  for (size_t label = 0; label < candidates.classes.size(); ++label) {
    const std::string& name = candidates.classes[label];
    const auto place = std::find(given.begin(), given.end(), name);
    if (place == given.end() && occurs[label]) unknown += (unknown.empty() ? "" : ", ") + name;
    places.push_back(static_cast<int>(place - given.begin()));
  }
  if (!unknown.empty()) throw io::Error("classes does not list these classes of the data: " + unknown);
  for (int& label : candidates.labels) {
    if (label >= 0) label = places[static_cast<size_t>(label)];
  }
  candidates.classes = given, candidates.numbers = false;
}

}  // namespace

Chosen Selection::choose(Candidates candidates) const {
  const auto seed = static_cast<uint64_t>(list_seed);
  candidates.labels.resize(candidates.names.size(), -1);
  std::vector<size_t> chosen;
  if (list.empty()) {
    chosen.resize(candidates.names.size());
    std::iota(chosen.begin(), chosen.end(), size_t{0});
  } else {
    PictureList listed = read_picture_list(list, candidates.names, candidates.root);
    label_as_listed(candidates, listed);
    chosen = std::move(listed.samples);
  }
  if (!classes.empty()) number_as_given(candidates, classes);
  if (per_class > 0) chosen = take_per_class(candidates, chosen, per_class, seed);
  if (part != "all") chosen = at_places(chosen, part_indices(chosen.size(), part, holdout, seed));
  const size_t all = chosen.size(), wanted = static_cast<size_t>(limit);
  if (wanted != 0 && wanted < all) {
    std::vector<size_t> some;
    for (size_t i = 0; i < wanted; ++i) some.push_back(i * all / wanted);
    chosen = at_places(chosen, some);
  }
  if (!ranges.empty()) chosen = at_places(chosen, places_in(ranges, chosen.size()));
  Chosen out{.samples = std::move(chosen), .classes = std::move(candidates.classes), .numbers = candidates.numbers};
  for (const size_t i : out.samples) out.labels.push_back(candidates.labels[i]);
  return out;
}

}  // namespace flowrun::source
