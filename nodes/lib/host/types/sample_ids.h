// Which samples of a source a group holds, or samples that were drawn for each of them.
#pragma once

#include <cstdint>
#include <mutex>
#include <vector>

#include "graph/contract/planned.h"

namespace flowrun {

struct Shown;  // graph/contract/shown.h

/// Indices in the source, rows x each, row-major; a row for each sample of a group, once for each view of it. Places are written by several
/// threads, each its own.
struct SampleIds {
  static constexpr const char* type_name = "sample ids";
  std::vector<int64_t> values;  // room for a whole group
  int64_t rows = 0, each = 1;   // of what is there
  size_t bytes() const { return values.size() * sizeof(int64_t); }
  SampleIds& operator=(const SampleIds& other) {
    values = other.values, rows = other.rows, each = other.each;
    return *this;
  }
  void show(Shown& out, int64_t place, int64_t samples) const;
  static void plan(const PlannedGroup& group, Planned& out) { out = Planned::of({group.images}, "int64", 8); }

  /// Makes room once; any thread, before it writes its place.
  void reserve(int64_t capacity) {
    std::call_once(once_, [&] { values.assign(static_cast<size_t>(capacity), -1); });
  }

 private:
  std::once_flag once_;
};

}  // namespace flowrun
