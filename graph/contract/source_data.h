// A source's description of its data, so that a run notices changes, and labels of two sources mean the same.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

namespace flowrun {

struct SourceData {
  std::string place;                 // their location, for messages; empty: the source does not describe its data
  uint64_t count = 0;                // samples
  uint64_t bytes = 0;                // of their files, or members of shards
  uint64_t hash = 0;                 // of their names (relative to the place) and sizes, in the order of the samples
  std::vector<std::string> classes;  // names by label; empty: there are no labels
  std::vector<int> labels;           // of each sample, -1: none; empty: there are no labels
  bool labels_read = false;          // other nodes read the port `label`; set by the engine
  bool numbers = false;              // the labels were numbers, and the names are these
  std::vector<std::string> remarks;  // for the user, before the run; each is logged once, as a warning

  /// Adds a sample to count, bytes and hash.
  void add(std::string_view name, uint64_t size);
  /// {"count": 18, "bytes": 12345, "hash": "16 hex digits", "classes": […]}; classes only if there are any.
  nlohmann::ordered_json json() const;
};

/// The labels of one source as places in the table of another: the label `i` becomes `labels[i]`.
struct ClassMatch {
  std::vector<int64_t> labels;
  std::string remark;  // a warning for the user; empty: none
};

/// By name. Where one side has numbers and the other names, number i is the i-th name, and the match says so. Throws
/// std::invalid_argument that names the classes missing in the table.
ClassMatch match_classes(const SourceData& from, const SourceData& table);

}  // namespace flowrun
