// Runs a pipeline for a while, whole or in part, and reads the engine's statistics, for profile and advise.
#pragma once

#include <string>
#include <vector>

#include "graph/engine/engine.h"
#include "tools/app/speed/leaks.h"

namespace flowrun::app {

/// How to run it. A measurement trains in a temporary folder, and leaves out checkpoints and evaluations.
struct MeasureOptions {
  int threads = 0;               // data threads; 0: the pipeline's
  double seconds = 10;           // measured time, after warming up
  int64_t steps = 0;             // or that many steps; 0: by time
  int64_t skip = 0, images = 0;  // or exactly this many images after the first
  double warm_up = 0.5;          // seconds
  std::vector<std::string> stubs;
  bool leaks = false;  // also read the memory of nodes; see require_memory_hooks()
};

struct NodeTimes {
  std::string name, type;
  Scope scope;
  double calls, failures;
  double busy, cpu, wait_input, wait_slot, wait_device;  // seconds, summed over threads
  double p50, p95;                                       // seconds, of one call
};

struct Measurement {
  double seconds;  // that count
  int64_t images, steps, batch;
  int threads;         // for data
  double cpu_seconds;  // of the process
  double delayed;      // seconds in which its threads could have run, but other programs had the cores
  double peak_mib;
  int64_t synchronisations;           // of the host with a GPU
  int64_t slots;                      // groups that may be in flight
  int64_t bytes;                      // of those together
  int64_t played = 0, submitted = 0;  // groups whose work was recorded before, and others; both 0 where nothing is recorded
  std::vector<NodeTimes> nodes;
  std::vector<MemoryReading> memory;  // in the time that counts

  double rate() const { return static_cast<double>(images) / seconds; }
  /// Summed over the nodes of the host's side (source, sample, batch), or of the device's.
  double sum(bool device, double NodeTimes::*what) const;
  /// Share of the data threads' time that the source spent waiting for its files.
  double waiting_for_storage() const;
};

/// Runs the pipeline, whatever its length, until enough is measured.
Measurement measure(CheckedPipeline pipeline, const MeasureOptions& options);

struct Comparison {
  double as_it_is, changed;  // images per second
};

/// The pipeline unchanged, and with nodes of the host or the device slowed by these factors, in turns within one run,
/// so that other load affects both.
Comparison compare(CheckedPipeline pipeline, const MeasureOptions& options, double host, double device);

}  // namespace flowrun::app
