#include "tools/app/run_file.h"

#include <algorithm>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <vector>

namespace flowrun::app {
namespace {

namespace fs = std::filesystem;

bool lies_in(const fs::path& real, const fs::path& folder) {
  std::error_code error;
  const fs::path root = fs::canonical(folder, error);
  const fs::path way = real.lexically_relative(root);
  return !error && !way.empty() && *way.begin() != "..";
}

}  // namespace

bool is_below(const fs::path& path, const fs::path& folder) {
  std::error_code error;
  const fs::path real = fs::canonical(path, error);
  return !error && lies_in(real, folder);
}

RunFile::RunFile(const fs::path& path, const fs::path& run) {
  // Opening a FIFO without O_NONBLOCK would wait for its writer; a device is looked at before it is opened, as that may do something.
  std::error_code error;
  if (!fs::is_regular_file(path, error)) return;
  io::FileDescriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  struct stat info {};
  if (!file || ::fstat(file.get(), &info) != 0 || !S_ISREG(info.st_mode)) return;
  const fs::path real = fs::read_symlink("/proc/self/fd/" + std::to_string(file.get()), error);
  if (error || !lies_in(real, run)) return;
  file_ = std::move(file), size_ = info.st_size;
}

std::optional<std::string> RunFile::text(int64_t most) const {
  if (!file_ || size_ > most) return {};
  std::string out(static_cast<size_t>(size_), '\0');
  size_t have = 0;
  while (have < out.size()) {
    const ssize_t count = ::pread(file_.get(), out.data() + have, out.size() - have, static_cast<off_t>(have));
    if (count < 0) return {};
    if (count == 0) break;  // it was made shorter meanwhile
    have += static_cast<size_t>(count);
  }
  out.resize(have);
  return out;
}

void RunFile::each_line(const std::function<void(std::string_view)>& take, int64_t longest, int64_t most, int64_t from) const {
  if (!file_) return;
  std::vector<char> part(64 << 10);
  std::string line;
  bool too_long = false;
  for (int64_t at = from; at < from + most;) {
    const ssize_t count = ::pread(file_.get(), part.data(), std::min(part.size(), static_cast<size_t>(from + most - at)), at);
    if (count <= 0) break;
    at += count;
    for (std::string_view rest(part.data(), static_cast<size_t>(count)); !rest.empty();) {
      const size_t end = rest.find('\n');
      const std::string_view piece = rest.substr(0, end);
      too_long = too_long || line.size() + piece.size() > static_cast<size_t>(longest);
      if (!too_long) line += piece;
      if (end == std::string_view::npos) break;
      if (!too_long) take(line);
      line.clear(), too_long = false;
      rest.remove_prefix(end + 1);
    }
  }
  if (!too_long && !line.empty()) take(line);
}

}  // namespace flowrun::app
