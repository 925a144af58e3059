#include "io/shards/byte_stream.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <unistd.h>

#include "io/error.h"

namespace flowrun::io {

size_t read_fully(ByteStream& stream, uint8_t* out, size_t size) {
  size_t filled = 0;
  while (filled < size) {
    const size_t count = stream.read(out + filled, size - filled);
    if (count == 0) break;
    filled += count;
  }
  return filled;
}

size_t SpanStream::read(uint8_t* out, size_t size) {
  const size_t count = std::min(size, bytes_.size());
  if (count > 0) std::memcpy(out, bytes_.data(), count);
  bytes_ = bytes_.subspan(count);
  return count;
}

FileStream::FileStream(const std::filesystem::path& path) : path_(path), file_(open_regular_file(path)), buffer_(size_t{1} << 18) {
  posix_fadvise(file_.get(), 0, 0, POSIX_FADV_SEQUENTIAL);
}

size_t FileStream::read(uint8_t* out, size_t size) {
  if (size == 0) return 0;
  if (begin_ == end_) {
    ssize_t count = 0;
    do count = ::read(file_.get(), buffer_.data(), buffer_.size());
    while (count < 0 && errno == EINTR);
    if (count < 0) throw system_error("read", path_, errno);
    begin_ = 0, end_ = static_cast<size_t>(count);
  }
  const size_t count = std::min(size, end_ - begin_);
  std::memcpy(out, buffer_.data() + begin_, count);
  begin_ += count;
  return count;
}

}  // namespace flowrun::io
