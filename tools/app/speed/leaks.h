// Finds the node whose memory grows, for a profile: in a process with tools/memory loaded.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

namespace flowrun::app {

struct Measurement;

/// Starts this process again, with tools/memory ahead of the C library, unless it is there. Throws PipelineError.
void require_memory_hooks();
/// From here on memory is counted for nodes, by their index.
void count_memory();

/// A reading: bytes in use that each node allocated; the last entry is memory of no node.
struct MemoryReading {
  int64_t images = 0;  // passed so far
  std::vector<int64_t> bytes;
  int64_t process = 0;  // own_memory()
};
/// Memory that this thread allocates after this call, until the next node runs, isn't counted.
MemoryReading read_memory(size_t nodes, int64_t images);

/// A node whose memory grows as long as the readings go on: the least in each quarter of the images is more than that in the
/// one before, by at least half of the mean, and by 256 KiB in all.
struct Leak {
  size_t node;    // the number of nodes: none of them
  double growth;  // bytes, from the first reading to the last
};
inline constexpr size_t least_readings = 16;  // fewer don't tell
std::vector<Leak> find_leaks(const std::vector<MemoryReading>& readings);

/// The result of a measurement with MeasureOptions::leaks.
nlohmann::ordered_json memory_json(const Measurement& measured);

}  // namespace flowrun::app
