// The values of a sweep's "grid" and "zip", and the names of their points.
#pragma once

#include <string>
#include <vector>

#include "graph/text/json.h"

namespace flowrun::app {

/// A change of a pipeline and its place in the name of a run's folder.
struct Point {
  std::string name;               // letters, digits, - _ and . alone; empty: nothing is changed
  std::vector<std::string> sets;  // PATH=VALUE, as --set takes them
};

/// The most runs of one sweep.
inline constexpr size_t most_runs = 10'000;

/// Every combination of the values, the last path fastest: {PATH: [VALUE, …] or {NAME: VALUE, …} or a range, …}. A range is {"from", "to"} with
/// "count" (both ends are in it; "scale": "log" for equal ratios) or "step". Faults go to `faults`; then the result must not be used.
std::vector<Point> grid_points(const Value& grid, Diagnostics& faults);

/// The first values of all paths, then the second ones, …: lists must be of one length. Where a path's values have names, these name the points.
std::vector<Point> zip_points(const Value& zip, Diagnostics& faults);

/// PATH=VALUE of each member of an object; `where`: how messages name it.
std::vector<std::string> sets_of(const Value& object, const std::string& where, Diagnostics& faults);

/// PATH of PATH=VALUE.
std::string path_of(const std::string& set);

/// Whether the name may be a folder of a run: letters, digits, - _ and . only, and no . in front.
bool is_folder_name(const std::string& name);

/// The text with - for each run of characters that a folder's name has not, at most 60 long.
std::string folder_name(const std::string& text);

}  // namespace flowrun::app
