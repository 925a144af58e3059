// Samples that stand for a file which could not be used.
#pragma once

#include <cstdint>
#include <mutex>
#include <string>
#include <vector>

namespace flowrun {

/// Why a sample's picture is none of its file; empty: it is.
struct Fault {
  static constexpr const char* type_name = "fault";
  std::string why;
};

/// Of the samples of a group. Places are written by several threads, each its own.
struct Faults {
  static constexpr const char* type_name = "faults";
  std::vector<std::string> why;  // room for a whole group; empty when nothing gives faults
  Faults& operator=(const Faults& other) {
    why = other.why;
    return *this;
  }

  /// Makes room once; any thread, before it writes its place.
  void reserve(int64_t capacity) {
    std::call_once(once_, [&] { why.resize(static_cast<size_t>(capacity)); });
  }

 private:
  std::once_flag once_;
};

}  // namespace flowrun
