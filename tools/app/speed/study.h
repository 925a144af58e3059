// A pipeline measured whole and in halves, and the conclusions: the basis of profile and advise.
#pragma once

#include <filesystem>
#include <functional>
#include <optional>

#include "tools/app/load/load.h"
#include "tools/app/say.h"
#include "tools/app/speed/forecast.h"

namespace flowrun::app {

struct StudyOptions {
  int threads = 0;               // data threads; 0: the pipeline's
  double seconds = 10;           // for all measurements together
  int64_t steps = 0;             // of the whole; 0: by time
  int64_t skip = 0, images = 0;  // or exactly this many images after the first
  std::vector<std::string> stubs;
  bool leaks = false;
  bool halves = true;  // also the input side and the device side alone
  Say say = say_nothing;
};

struct StudyResult {
  Measurement whole;
  std::optional<Measurement> input, device_side;
  double cores;
  std::string device;    // kind and precision
  bool on_host = false;  // the device's work uses the cores of the host
  int64_t intra_op;
  std::optional<ServiceTimes> times;  // of a run that is over; else from the halves
  double contention = 0;              // see ServiceTimes

  /// Shares of the data threads' time; parked: without a batch to fill.
  double device_busy() const;
  double data_busy() const;
  double parked_share() const;
  /// Share of the device's time without a batch.
  double starved_share() const;
  /// Complete batches that wait for the device, on average (Little's law).
  double waiting_batches() const;
  Forecaster forecaster() const;
  /// "device", "data threads", "cores", "storage", or "order": neither is busy.
  std::string bound() const;
  std::string verdict() const;
  std::vector<std::string> advice() const;

 private:
  const NodeTimes* slowest(bool device) const;
  std::string cores_verdict() const;
};

/// A study from the statistics of a finished run. None if it wrote too few: its metrics must have three rates, and its
/// statistics must be of this version. `trust`: plug-ins that the run's folder names are loaded.
std::optional<StudyResult> study_of_run(const std::filesystem::path& run, bool trust);

class Study {
 public:
  /// `load`: loads the pipeline anew for each measurement.
  Study(std::function<CheckedPipeline()> load, StudyOptions options) : load_(std::move(load)), options_(std::move(options)) {}
  /// Says what it measures.
  StudyResult run() const;
  /// The whole, in other ways.
  Measurement measure_whole(const MeasureOptions& options) const;
  /// The whole, as it is and slowed down.
  Comparison compare_slowed(const MeasureOptions& options, double host, double device) const;
  /// The device's side alone, with the host's first outputs replayed.
  Measurement measure_device(MeasureOptions options) const;

 private:
  /// ServiceTimes::contention; 0 where the device has cores of its own, or waits for the data threads anyway.
  double measure_contention(const StudyResult& found, double seconds) const;

  std::function<CheckedPipeline()> load_;
  StudyOptions options_;
};

}  // namespace flowrun::app
