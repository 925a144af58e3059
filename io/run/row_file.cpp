#include "io/run/row_file.h"

#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io/error.h"
#include "io/run/safetensors.h"

namespace flowrun::io {
namespace {

constexpr size_t npy_alignment = 64;
constexpr std::string_view npy_magic("\x93NUMPY\x01\x00", 8);

const std::vector<std::pair<std::string, std::string>>& npy_types() {
  static const std::vector<std::pair<std::string, std::string>> types = {{"F32", "<f4"}, {"F16", "<f2"}, {"I64", "<i8"}};
  return types;
}

uint64_t bytes_of(const RowArray& array) {
  uint64_t bytes = dtype_size(array.dtype);
  for (const int64_t extent : array.shape) bytes *= static_cast<uint64_t>(extent);
  return bytes;
}

/// https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html
std::string npy_head(const RowArray& array) {
  const auto type = std::find_if(npy_types().begin(), npy_types().end(), [&](const auto& t) { return t.first == array.dtype; });
  std::string shape;
  for (const int64_t extent : array.shape) shape += std::to_string(extent) + ", ";
  if (array.shape.size() > 1) shape.resize(shape.size() - 2);
  if (array.shape.size() == 1) shape.pop_back();
  std::string text = "{'descr': '" + type->second + "', 'fortran_order': False, 'shape': (" + shape + "), }";
  const size_t used = npy_magic.size() + 2 + text.size() + 1;
  text.append((npy_alignment - used % npy_alignment) % npy_alignment, ' ');
  text += '\n';
  const auto length = static_cast<uint16_t>(text.size());
  return std::string(npy_magic) + static_cast<char>(length & 0xff) + static_cast<char>(length >> 8) + text;
}

FileDescriptor open_file(const std::filesystem::path& path, int flags) {
  FileDescriptor file(::open(path.c_str(), flags | O_CLOEXEC, 0666));
  if (!file) throw system_error("open", path, errno);
  return file;
}

void write_at(int fd, uint64_t at, std::span<const std::byte> bytes, const std::filesystem::path& path) {
  while (!bytes.empty()) {
    const ssize_t count = ::pwrite(fd, bytes.data(), bytes.size(), static_cast<off_t>(at));
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) throw system_error("write", path, count < 0 ? errno : EIO);
    at += static_cast<uint64_t>(count);
    bytes = bytes.subspan(static_cast<size_t>(count));
  }
}

std::string read_at(int fd, uint64_t at, size_t most, const std::filesystem::path& path) {
  std::string text(most, '\0');
  size_t have = 0;
  while (have < most) {
    const ssize_t count = ::pread(fd, text.data() + have, most - have, static_cast<off_t>(at + have));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) throw system_error("read", path, errno);
    if (count == 0) break;
    have += static_cast<size_t>(count);
  }
  text.resize(have);
  return text;
}

}  // namespace

RowFile::RowFile(std::filesystem::path path, const std::vector<RowArray>& arrays) : path_(std::move(path)) {
  std::string head;
  uint64_t end = 0;
  if (path_.extension() == ".npy") {
    if (arrays.size() != 1) throw Error(path_.string() + ": a .npy file holds one array");
    head = npy_head(arrays[0]);
    begin_ = {head.size()};
  } else {
    std::vector<TensorEntry> entries;
    for (const RowArray& array : arrays) entries.push_back({array.name, array.dtype, array.shape, {}});
    SafetensorsHead of_all = safetensors_head(path_.string(), entries);
    head = std::move(of_all.text), begin_ = std::move(of_all.begin);
  }
  for (size_t i = 0; i < arrays.size(); ++i) {
    const uint64_t bytes = bytes_of(arrays[i]), rows = static_cast<uint64_t>(std::max<int64_t>(arrays[i].shape[0], 1));
    row_bytes_.push_back(bytes / rows);
    end = std::max(end, begin_[i] + bytes);
  }
  file_ = open_file(path_, O_RDWR | O_CREAT);
  if (::ftruncate(file_.get(), static_cast<off_t>(end)) != 0) throw system_error("make room in", path_, errno);
  write_at(file_.get(), 0, std::as_bytes(std::span(head)), path_);
}

void RowFile::write(size_t array, int64_t first, std::span<const std::byte> rows) {
  write_at(file_.get(), begin_[array] + static_cast<uint64_t>(first) * row_bytes_[array], rows, path_);
}

void RowFile::sync() {
  if (::fdatasync(file_.get()) != 0 && errno != EINVAL) throw system_error("sync", path_, errno);
}

NpyHead read_npy_head(const std::filesystem::path& path) {
  const FileDescriptor file = open_regular_file(path);
  const std::string start = read_at(file.get(), 0, npy_magic.size() + 2, path);
  const auto wrong = [&] { return Error(path.string() + ": not a NumPy file that Flowrun made"); };
  if (start.size() < npy_magic.size() + 2 || !start.starts_with(npy_magic)) throw wrong();
  const size_t length = static_cast<uint8_t>(start[8]) | static_cast<size_t>(static_cast<uint8_t>(start[9])) << 8;
  const std::string text = read_at(file.get(), start.size(), length, path);
  NpyHead out{.dtype = "", .shape = {}, .begin = start.size() + length};
  for (const auto& [ours, theirs] : npy_types()) {
    if (text.find("'" + theirs + "'") != std::string::npos) out.dtype = ours;
  }
  size_t at = text.find("'shape': (");
  if (out.dtype.empty() || at == std::string::npos) throw wrong();
  for (at += 10; at < text.size() && text[at] != ')';) {
    size_t used = 0;
    if (text[at] < '0' || text[at] > '9') {
      ++at;
      continue;
    }
    out.shape.push_back(std::stoll(text.substr(at, 19), &used));
    at += used;
  }
  return out;
}

void RowsDone::begin(const std::filesystem::path& path, const std::string& note, int64_t rows) {
  write_file_atomic(path, note + "\n" + std::string(static_cast<size_t>(rows), '0'));
}

RowsDone::RowsDone(std::filesystem::path path) : path_(std::move(path)), file_(open_file(path_, O_RDWR)) {
  constexpr size_t longest_note = 65536;
  const std::string text = read_at(file_.get(), 0, longest_note, path_);
  const size_t end = text.find('\n');
  struct stat status {};
  if (::fstat(file_.get(), &status) != 0) throw system_error("examine", path_, errno);
  if (end == std::string::npos) throw Error(path_.string() + " is no list of done rows: delete it");
  note_ = text.substr(0, end);
  begin_ = static_cast<int64_t>(end) + 1;
  rows_ = static_cast<int64_t>(status.st_size) - begin_;
}

std::vector<std::pair<int64_t, int64_t>> RowsDone::missing() const {
  const std::string marks = read_at(file_.get(), static_cast<uint64_t>(begin_), static_cast<size_t>(rows_), path_);
  std::vector<std::pair<int64_t, int64_t>> out;
  for (size_t row = 0; row < marks.size(); ++row) {
    if (marks[row] == '1') continue;
    const auto at = static_cast<int64_t>(row);
    if (out.empty() || out.back().second != at) out.emplace_back(at, at);
    ++out.back().second;
  }
  return out;
}

void RowsDone::mark(int64_t first, int64_t count) {
  const std::string marks(static_cast<size_t>(count), '1');
  write_at(file_.get(), static_cast<uint64_t>(begin_ + first), std::as_bytes(std::span(marks)), path_);
}

}  // namespace flowrun::io
