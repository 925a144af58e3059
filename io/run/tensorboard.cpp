#include "io/run/tensorboard.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <map>
#include <optional>
#include <unistd.h>
#include <vector>

#include "io/error.h"

namespace flowrun::io {

namespace {

static_assert(std::endian::native == std::endian::little, "records are written as numbers lie in memory");

constexpr std::array<uint32_t, 256> make_crc_table() {
  constexpr uint32_t castagnoli = 0x82f63b78;  // reflected
  std::array<uint32_t, 256> table{};
  for (uint32_t i = 0; i < 256; ++i) {
    uint32_t value = i;
    for (int bit = 0; bit < 8; ++bit) value = (value >> 1) ^ ((value & 1) != 0 ? castagnoli : 0);
    table[i] = value;
  }
  return table;
}
constexpr std::array<uint32_t, 256> crc_table = make_crc_table();

template <class T>
void append_raw(std::string& out, T value) {
  char bytes[sizeof value];
  std::memcpy(bytes, &value, sizeof value);
  out.append(bytes, sizeof value);
}

// Protocol buffers: a key of field number and wire type, then the value.
enum class Wire : uint8_t { varint = 0, fixed64 = 1, bytes = 2, fixed32 = 5 };

void append_varint(std::string& out, uint64_t value) {
  for (; value >= 0x80; value >>= 7) out += static_cast<char>((value & 0x7f) | 0x80);
  out += static_cast<char>(value);
}

void append_key(std::string& out, uint32_t field, Wire wire) { append_varint(out, field << 3 | static_cast<uint32_t>(wire)); }

void append_number(std::string& out, uint32_t field, int64_t value) {
  append_key(out, field, Wire::varint);
  append_varint(out, static_cast<uint64_t>(value));
}

void append_bytes(std::string& out, uint32_t field, std::string_view bytes) {
  append_key(out, field, Wire::bytes);
  append_varint(out, bytes.size());
  out += bytes;
}

void append_double(std::string& out, uint32_t field, double value) {
  append_key(out, field, Wire::fixed64);
  append_raw(out, value);
}

void append_doubles(std::string& out, uint32_t field, std::span<const double> values) {
  append_bytes(out, field, {reinterpret_cast<const char*>(values.data()), values.size_bytes()});
}

std::string event_at(double wall_time) {
  std::string event;
  append_double(event, 1, wall_time);
  return event;
}

constexpr std::string_view session_start = "_hparams_/session_start_info", session_end = "_hparams_/session_end_info";

// google.protobuf.Value{2 number_value, 3 string_value, 4 bool_value}.
std::string any_value(const std::variant<double, bool, std::string>& value) {
  std::string out;
  if (const auto* number = std::get_if<double>(&value)) append_double(out, 2, *number);
  if (const auto* text = std::get_if<std::string>(&value)) append_bytes(out, 3, *text);
  if (const auto* flag = std::get_if<bool>(&value)) append_number(out, 4, *flag ? 1 : 0);
  return out;
}

// Value{1 tag, 8 tensor, 9 metadata{1 plugin_data{1 name, 2 HParamsPluginData{FIELD message}}}}; the tensor is of no float.
std::string plugin_value(std::string_view tag, uint32_t field, const std::string& message) {
  std::string content, plugin, metadata, value;
  append_bytes(content, field, message);
  append_bytes(plugin, 1, "hparams");
  append_bytes(plugin, 2, content);
  append_bytes(metadata, 1, plugin);
  append_bytes(value, 1, tag);
  append_bytes(value, 8, std::string_view("\x08\x01\x12\x02\x12\x00", 6));
  append_bytes(value, 9, metadata);
  return value;
}

// SessionStartInfo{1 hparams, 5 start_time_secs}.
std::string session_start_info(const Session& session) {
  std::string message;
  for (const auto& [name, value] : session.hyperparameters) {
    std::string entry;
    append_bytes(entry, 1, name);
    append_bytes(entry, 2, any_value(value));
    append_bytes(message, 1, entry);
  }
  append_double(message, 5, session.begin);
  return plugin_value(session_start, 3, message);
}

// SessionEndInfo{1 status, 2 end_time_secs}.
std::string session_end_info(double end) {
  constexpr int64_t success = 1;
  std::string message;
  append_number(message, 1, success);
  append_double(message, 2, end);
  return plugin_value(session_end, 4, message);
}

// Event{1 wall_time, 2 step, 5 Summary{1 VALUE}}.
std::string summary_event(double wall_time, int64_t step, const std::string& value) {
  std::string summary;
  append_bytes(summary, 1, value);
  std::string event = event_at(wall_time);
  append_number(event, 2, step);
  append_bytes(event, 5, summary);
  return event;
}

std::string as_record(const std::string& event) {
  std::string record;
  append_raw(record, static_cast<uint64_t>(event.size()));
  append_raw(record, masked_crc32c(record));
  record += event;
  append_raw(record, masked_crc32c(event));
  return record;
}

constexpr size_t length_bytes = 8;
constexpr size_t crc_bytes = 4;

// The end of the last complete record. Only lengths and their checksums are read.
int64_t end_of_records(int fd, int64_t size) {
  int64_t end = 0;
  while (true) {
    char head[length_bytes + crc_bytes];
    if (::pread(fd, head, sizeof head, end) != static_cast<ssize_t>(sizeof head)) return end;
    uint64_t length = 0;
    uint32_t crc = 0;
    std::memcpy(&length, head, length_bytes);
    std::memcpy(&crc, head + length_bytes, crc_bytes);
    const auto left = static_cast<uint64_t>(size - end) - sizeof head;
    if (crc != masked_crc32c({head, length_bytes}) || left < crc_bytes || length > left - crc_bytes) return end;
    end += static_cast<int64_t>(sizeof head + length + crc_bytes);
  }
}

// Reads a protocol buffer's fields one by one.
class Fields {
 public:
  explicit Fields(std::string_view message) : rest_(message) {}

  // The next field's number, or 0: there is none, or the rest is not a protocol buffer.
  uint64_t next() {
    uint64_t key = 0;
    if (rest_.empty() || !varint(key)) return 0;
    value_ = 0;
    switch (static_cast<Wire>(key & 7)) {
      case Wire::varint:
        return varint(value_) ? key >> 3 : 0;
      case Wire::fixed64:
        return skip(8) ? key >> 3 : 0;
      case Wire::fixed32:
        return skip(4) ? key >> 3 : 0;
      case Wire::bytes: {
        uint64_t length = 0;
        return varint(length) && skip(length) ? key >> 3 : 0;
      }
    }
    return 0;
  }
  // The value of a varint.
  uint64_t value() const { return value_; }

 private:
  bool varint(uint64_t& out) {
    out = 0;
    for (unsigned shift = 0; shift < 64 && !rest_.empty(); shift += 7) {
      const auto byte = static_cast<uint8_t>(rest_.front());
      rest_.remove_prefix(1);
      out |= static_cast<uint64_t>(byte & 0x7f) << shift;
      if (byte < 0x80) return true;
    }
    return false;
  }
  bool skip(uint64_t count) {
    if (count > rest_.size()) return false;
    rest_.remove_prefix(count);
    return true;
  }

  std::string_view rest_;
  uint64_t value_ = 0;
};

int64_t step_of_event(std::string_view event) {
  Fields fields(event);
  while (const uint64_t field = fields.next()) {
    if (field == 2) return static_cast<int64_t>(fields.value());
  }
  return 0;
}

// The event of the record that BYTES begin with, if it is whole.
std::optional<std::string_view> first_event(std::string_view bytes) {
  constexpr size_t head = length_bytes + crc_bytes;
  if (bytes.size() < head + crc_bytes) return std::nullopt;
  uint64_t length = 0;
  uint32_t crc = 0;
  std::memcpy(&length, bytes.data(), length_bytes);
  std::memcpy(&crc, bytes.data() + length_bytes, crc_bytes);
  if (crc != masked_crc32c(bytes.substr(0, length_bytes)) || length > bytes.size() - head - crc_bytes) return std::nullopt;
  const std::string_view event = bytes.substr(head, length);
  std::memcpy(&crc, bytes.data() + head + length, crc_bytes);
  if (crc != masked_crc32c(event)) return std::nullopt;
  return event;
}

bool truncate_event_file(const std::filesystem::path& path, int64_t step) {
  std::vector<uint8_t> bytes;
  read_file(path, bytes);
  std::string_view rest(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  const size_t all = rest.size();
  std::string kept;
  while (const auto event = first_event(rest)) {
    const size_t record = length_bytes + crc_bytes + event->size() + crc_bytes;
    const bool is_version = rest.size() == all;  // readers want the first record
    if (is_version || step_of_event(*event) <= step) kept += rest.substr(0, record);
    rest.remove_prefix(record);
  }
  if (rest.size() == all || kept.size() == all) return false;  // no event file, or nothing to drop
  write_file_atomic(path, kept);
  return true;
}

// The event files of this program, the newest last.
std::vector<std::filesystem::path> own_event_files(const std::filesystem::path& directory) {
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(directory)) {
    const std::string name = entry.path().filename().string();
    if (name.starts_with("events.out.tfevents.") && name.ends_with(".flowrun") && entry.is_regular_file()) files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  return files;
}

bool holds_session(const std::filesystem::path& file) {
  std::vector<uint8_t> bytes;
  read_file(file, bytes);
  return std::string_view(reinterpret_cast<const char*>(bytes.data()), bytes.size()).find(session_start) != std::string_view::npos;
}

}  // namespace

uint32_t masked_crc32c(std::string_view bytes) {
  uint32_t crc = 0xffffffff;
  for (const char byte : bytes) crc = (crc >> 8) ^ crc_table[(crc ^ static_cast<uint8_t>(byte)) & 0xff];
  return std::rotr(~crc, 15) + 0xa282ead8;
}

std::shared_ptr<EventWriter> shared_event_writer(const std::filesystem::path& directory, int64_t seconds) {
  static std::mutex mutex;
  static std::map<std::filesystem::path, std::weak_ptr<EventWriter>> open;
  const std::lock_guard lock(mutex);
  std::weak_ptr<EventWriter>& known = open[directory];
  std::shared_ptr<EventWriter> writer = known.lock();
  if (!writer) known = writer = std::make_shared<EventWriter>(directory / event_file_name(seconds));
  return writer;
}

size_t truncate_events(const std::filesystem::path& directory, int64_t step) {
  size_t changed = 0;
  for (const std::filesystem::path& file : own_event_files(directory)) changed += truncate_event_file(file, step) ? 1 : 0;
  return changed;
}

bool add_session(const std::filesystem::path& directory, const Session& session) {
  const std::vector<std::filesystem::path> files = own_event_files(directory);
  if (files.empty() || std::any_of(files.begin(), files.end(), holds_session)) return false;
  EventWriter(files.back()).session(session);
  return true;
}

std::string event_file_name(int64_t seconds) { return "events.out.tfevents." + std::to_string(seconds) + ".flowrun"; }

EventWriter::EventWriter(std::filesystem::path path) : path_(std::move(path)) {
  file_ = FileDescriptor(::open(path_.c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0666));
  if (!file_) throw system_error("open", path_, errno);
  const int64_t found = ::lseek(file_.get(), 0, SEEK_END);
  if (found < 0) throw system_error("examine", path_, errno);
  size_ = end_of_records(file_.get(), found);
  if (size_ == 0 && found > 0) throw Error(path_.string() + " is not an event file: choose another name");
  if (size_ != found && ::ftruncate(file_.get(), size_) != 0) throw system_error("write", path_, errno);
  if (size_ > 0) return;
  std::string event = event_at(0);
  append_bytes(event, 3, "brain.Event:2");
  write_record(event);
}

void EventWriter::write_record(const std::string& event) {
  const std::string record = as_record(event);
  const std::lock_guard lock(mutex_);
  try {
    write_all(file_.get(), std::as_bytes(std::span(record)), path_);
  } catch (const Error&) {
    // Best effort: opening the file again drops a torn record too.
    if (::ftruncate(file_.get(), size_) != 0) throw;
    throw;
  }
  size_ += static_cast<int64_t>(record.size());
}

// Value{1 tag, 2 simple_value}.
void EventWriter::scalar(std::string_view tag, int64_t step, float value, double wall_time) {
  std::string message;
  append_bytes(message, 1, tag);
  append_key(message, 2, Wire::fixed32);
  append_raw(message, value);
  write_record(summary_event(wall_time, step, message));
}

// Value{1 tag, 4 Image{1 height, 2 width, 3 colorspace, 4 png}}.
void EventWriter::image(std::string_view tag, int64_t step, std::span<const uint8_t> png, int height, int width, double wall_time) {
  constexpr int64_t rgb = 3;
  std::string picture;
  append_number(picture, 1, height);
  append_number(picture, 2, width);
  append_number(picture, 3, rgb);
  append_bytes(picture, 4, {reinterpret_cast<const char*>(png.data()), png.size()});
  std::string message;
  append_bytes(message, 1, tag);
  append_bytes(message, 4, picture);
  write_record(summary_event(wall_time, step, message));
}

// Value{1 tag, 5 HistogramProto{1 min, 2 max, 3 num, 4 sum, 5 sum_squares, 6 bucket_limit, 7 bucket}}.
void EventWriter::histogram(std::string_view tag, int64_t step, const Histogram& histogram, double wall_time) {
  std::string counts;
  append_double(counts, 1, histogram.min);
  append_double(counts, 2, histogram.max);
  append_double(counts, 3, histogram.count);
  append_double(counts, 4, histogram.sum);
  append_double(counts, 5, histogram.sum_of_squares);
  append_doubles(counts, 6, histogram.limits);
  append_doubles(counts, 7, histogram.counts);
  std::string message;
  append_bytes(message, 1, tag);
  append_bytes(message, 5, counts);
  write_record(summary_event(wall_time, step, message));
}

// The plug-in takes the first of each; scalars before, so that a row that is there is whole.
void EventWriter::session(const Session& session) {
  for (const auto& [tag, value] : session.results) scalar(tag, session.step, static_cast<float>(value), session.end);
  write_record(summary_event(session.end, 0, session_end_info(session.end)));
  write_record(summary_event(session.end, 0, session_start_info(session)));
}

}  // namespace flowrun::io
