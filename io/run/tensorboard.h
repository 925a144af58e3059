#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "io/file.h"

namespace flowrun::io {

// Counts of values in buckets side by side, from the least value to the greatest.
struct Histogram {
  double min = 0, max = 0, count = 0, sum = 0, sum_of_squares = 0;
  std::vector<double> limits;  // the upper end of each bucket
  std::vector<double> counts;
};

// A run's row in the table of TensorBoard's plug-in HParams.
struct Session {
  std::map<std::string, std::variant<double, bool, std::string>> hyperparameters;
  std::map<std::string, double> results;  // scalars, at `step`
  int64_t step = 0;
  double begin = 0, end = 0;  // seconds since 1970
};

// Writes a TensorBoard event file: TFRecords of Event messages, encoded by hand because no maintained C++ writer is
// packaged. TensorBoard looks only at files whose names hold "tfevents"; event_file_name() makes one. Each event is
// handed to the system at once. Any thread may write. Throws Error when the disk is full or fails.
class EventWriter {
 public:
  // Appends when the file exists, as after a resume; drops a torn last record of a killed writer.
  explicit EventWriter(std::filesystem::path path);

  // WALL_TIME in seconds since 1970.
  void scalar(std::string_view tag, int64_t step, float value, double wall_time);
  // PNG holds an encoded image of that height and width.
  void image(std::string_view tag, int64_t step, std::span<const uint8_t> png, int height, int width, double wall_time);
  void histogram(std::string_view tag, int64_t step, const Histogram& histogram, double wall_time);
  // Of a run that has ended well.
  void session(const Session& session);

 private:
  void write_record(const std::string& event);

  std::filesystem::path path_;
  FileDescriptor file_;
  std::mutex mutex_;
  int64_t size_ = 0;
};

// The one writer that this process has open in DIRECTORY; the first caller opens it. TensorBoard follows only the newest
// file of a directory, so all that a run reports goes into one. Any thread.
std::shared_ptr<EventWriter> shared_event_writer(const std::filesystem::path& directory, int64_t seconds);

// Appends the session to the newest event file of this program in DIRECTORY. False: there is none, or one holds a session already. No
// writer may be open on them.
bool add_session(const std::filesystem::path& directory, const Session& session);

// "events.out.tfevents.SECONDS.flowrun".
std::string event_file_name(int64_t seconds);

// For resuming at STEP: drops from the event files of this program in DIRECTORY the events of greater steps, and
// everything after a torn or damaged record, where readers stop. Events up to the step are kept. Returns how many files
// were changed. No writer may be open on them.
size_t truncate_events(const std::filesystem::path& directory, int64_t step);

// CRC-32C (Castagnoli) as TFRecords store it, rotated and offset.
uint32_t masked_crc32c(std::string_view bytes);

}  // namespace flowrun::io
