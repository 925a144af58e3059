// Selects the samples that a source gives: lists, low-shot draws and splits.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "graph/contract/params.h"

namespace flowrun::source {

/// The candidates, by index.
struct Candidates {
  std::vector<std::string_view> names;  // the names that lists use; owned elsewhere
  std::vector<int> labels;              // -1: none
  std::vector<std::string> classes;     // names by label; empty: there are no labels
  bool numbers = false;                 // the names are numbers, as the labels were
  std::string without_labels;           // the message when labels are needed and there are none
  std::filesystem::path root;           // that the names are relative to
};

/// The samples that were chosen.
struct Chosen {
  std::vector<size_t> samples;  // ascending
  std::vector<int> labels;      // of these; -1: none
  std::vector<std::string> classes;
  bool numbers = false;
};

/// `count` of each class among `from` (ascending indices), ascending. The draw depends on the seed, the class and how
/// many there are of it alone. A class that no candidate has is passed over. Throws io::Error without labels, and when a
/// class has fewer.
std::vector<size_t> take_per_class(const Candidates& candidates, const std::vector<size_t>& from, int64_t count, uint64_t seed);

/// Indices below `count` that belong to the part: "held_out" has round(share * count) of them, at least one and not
/// all; "kept" has the others. The draw depends on the seed and the count alone.
std::vector<size_t> part_indices(size_t count, const std::string& part, double share, uint64_t seed);

/// The parameters of a selection, applied in the order list, per_class, part, limit, ranges.
struct Selection {
  std::string list, part = "all";
  std::vector<std::string> classes;
  int64_t per_class = 0, list_seed = 0, limit = 0;
  std::vector<int64_t> ranges;
  double holdout = 0.1;

  void describe(auto& param) {
    param.movable()(
        "list", list,
        "File that lists the images to use, one a line: its path in the folder or its name in the shard, and possibly a label; or a .csv or .tsv "
        "table. Empty: all.");
    param("classes", classes,
          "The classes by label; empty: those that the data have, sorted. A class of the data that is not listed is an error; a listed one need not "
          "occur.");
    param("per_class", per_class, not_negative, "Draws this many images of each class; 0: all.");
    param("part", part, parts(), "all, or what is left after setting images aside, or those set aside: two sources share one data set.");
    param("holdout", holdout, Range{1e-3, 0.9}, "Share of the images that is set aside, when part is not all.");
    param("list_seed", list_seed, any_seed, "Another seed draws others.");
    param("limit", limit, not_negative, "Takes only this many samples, spread evenly over the list; 0: all.");
    param("ranges", ranges, not_negative,
          "Takes only these stretches of what is left, each by its first place and the one behind its last: [0, 64, 256, 320]; empty: all. For work "
          "that goes on where it was.");
  }
  static const Choices& parts() {
    static const Choices choices = {"all", "kept", "held_out"};
    return choices;
  }
  /// Throws io::Error.
  Chosen choose(Candidates candidates) const;
};

}  // namespace flowrun::source
