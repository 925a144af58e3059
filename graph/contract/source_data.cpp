#include "graph/contract/source_data.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <unordered_map>

#include "graph/contract/rng.h"

namespace flowrun {
namespace {

std::string listed(const std::vector<std::string>& names) {
  constexpr size_t most = 8;
  std::string out;
  for (size_t i = 0; i < std::min(most, names.size()); ++i) out += (i == 0 ? "" : ", ") + names[i];
  if (names.size() > most) out += " and " + std::to_string(names.size() - most) + " more";
  return out;
}

/// Numbers of one side are places among the names of the other.
ClassMatch match_numbers(const SourceData& from, const SourceData& table) {
  // Names can be matched with numbers only when none is missing.
  const bool fits = from.numbers ? from.classes.size() <= table.classes.size() : from.classes.size() == table.classes.size();
  if (!fits) {
    throw std::invalid_argument("labels of one side are numbers, and the other's are names: " + from.place + " has " + listed(from.classes) + ", " +
                                table.place + " has " + listed(table.classes));
  }
  ClassMatch match;
  for (size_t i = 0; i < from.classes.size(); ++i) match.labels.push_back(static_cast<int64_t>(i));
  const SourceData& numbers = from.numbers ? from : table;
  match.remark = "the labels of " + numbers.place + " are numbers, those of " + (from.numbers ? table : from).place + " are names: 0 is taken for " +
                 (from.numbers ? table : from).classes[0] + ", and so on in the order of the names";
  return match;
}

}  // namespace

void SourceData::add(std::string_view name, uint64_t size) {
  ++count;
  bytes += size;
  hash = hash_bytes(&size, sizeof size, hash_bytes(name.data(), name.size(), hash));
}

nlohmann::ordered_json SourceData::json() const {
  char text[17];
  std::snprintf(text, sizeof text, "%016llx", static_cast<unsigned long long>(hash));
  nlohmann::ordered_json out = {{"count", count}, {"bytes", bytes}, {"hash", text}};
  if (!classes.empty()) out["classes"] = classes;
  return out;
}

ClassMatch match_classes(const SourceData& from, const SourceData& table) {
  if (from.numbers != table.numbers) {
    // A side whose names are all numbers, too, can be matched by name.
    const bool named = std::all_of(from.classes.begin(), from.classes.end(), [&](const std::string& name) {
      return std::find(table.classes.begin(), table.classes.end(), name) != table.classes.end();
    });
    if (!named) return match_numbers(from, table);
  }
  std::unordered_map<std::string_view, int64_t> places;
  for (size_t i = 0; i < table.classes.size(); ++i) places.emplace(table.classes[i], static_cast<int64_t>(i));
  ClassMatch match;
  std::vector<std::string> unknown;
  for (const std::string& name : from.classes) {
    const auto found = places.find(name);
    match.labels.push_back(found == places.end() ? -1 : found->second);
    if (found == places.end()) unknown.push_back(name);
  }
  if (unknown.empty()) return match;
  throw std::invalid_argument((unknown.size() == 1 ? "the class " : "the classes ") + listed(unknown) + " of " + from.place +
                              (unknown.size() == 1 ? " is" : " are") + " not among the classes of " + table.place + ", which are " +
                              listed(table.classes));
}

}  // namespace flowrun
