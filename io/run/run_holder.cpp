#include "io/run/run_holder.h"

#include <cerrno>
#include <charconv>
#include <fcntl.h>
#include <nlohmann/json.hpp>
#include <sys/syscall.h>
#include <unistd.h>
#include <vector>

#include "io/error.h"
#include "io/json_text.h"

namespace flowrun::io {

namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

std::string host_name() {
  char host[256] = "";
  gethostname(host, sizeof host - 1);
  return host;
}

std::string text_of(const fs::path& path) {
  std::vector<uint8_t> bytes;
  read_file(path, bytes);
  return {bytes.begin(), bytes.end()};
}

struct flock whole_file() {
  struct flock lock {};
  lock.l_type = F_WRLCK;
  lock.l_whence = SEEK_SET;
  return lock;
}

// Only this kind of lock reveals the process that holds it.
int64_t process_that_locks(const fs::path& file) {
  const FileDescriptor fd(::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW));
  if (!fd) throw system_error("open", file, errno);
  struct flock lock = whole_file();
  if (fcntl(fd.get(), F_GETLK, &lock) != 0) throw system_error("ask who writes", file, errno);
  return lock.l_type == F_UNLCK ? 0 : lock.l_pid;
}

int64_t integer(const Json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_number_integer() ? found->get<int64_t>() : 0;
}

}  // namespace

int64_t start_of_process(int64_t pid) {
  std::string text;
  try {
    text = text_of("/proc/" + std::to_string(pid) + "/stat");
  } catch (const Error&) {
    return 0;
  }
  // The second field, a name, may hold blanks and brackets; what is asked for is the twenty-second.
  size_t at = text.rfind(')');
  for (int field = 2; field < 22 && at != std::string::npos; ++field) at = text.find(' ', at + 1);
  if (at == std::string::npos) return 0;
  int64_t start = 0;
  std::from_chars(text.data() + at + 1, text.data() + text.size(), start);
  return start;
}

RunHolder::RunHolder(fs::path file) : file_(std::move(file)) {
  // It appears under its name complete and locked.
  const fs::path temporary = file_.parent_path() / (".process.json.tmp-" + std::to_string(getpid()) + "-0");
  fd_ = FileDescriptor(::open(temporary.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0666));
  if (!fd_) throw system_error("create", file_, errno);
  struct flock lock = whole_file();
  (void)fcntl(fd_.get(), F_SETLK, &lock);  // on a file system without locks the holder can't be found
  const std::string text = json_text(nlohmann::ordered_json{{"pid", getpid()}, {"host", host_name()}, {"start", start_of_process(getpid())}}) + "\n";
  write_all(fd_.get(), std::as_bytes(std::span(text)), file_);
  if (::rename(temporary.c_str(), file_.c_str()) != 0) {
    const int code = errno;
    ::unlink(temporary.c_str());
    throw system_error("create", file_, code);
  }
}

RunHolder::~RunHolder() { ::unlink(file_.c_str()); }

HeldProcess::HeldProcess(const fs::path& file) {
  const Json named = Json::parse(text_of(file), nullptr, /*allow_exceptions=*/false);
  if (!named.is_object()) throw Error(file.string() + " names no process");
  const std::string host = named.value("host", Json()).is_string() ? named["host"].get<std::string>() : "";
  if (host != host_name()) throw Error("it runs on " + (host.empty() ? "another machine" : host) + ": ask there");
  pid_ = integer(named, "pid");
  const int64_t start = integer(named, "start"), locks = process_that_locks(file);
  if (start == 0) throw Error(file.string() + " does not say when its process started: it is of an older version, which can't be asked safely");
  if (locks == 0) throw Error("no process holds " + file.string());
  if (pid_ <= 1 || locks != pid_) throw Error(file.string() + " names process " + std::to_string(pid_) + ", which does not hold it");
  fd_ = FileDescriptor(static_cast<int>(syscall(SYS_pidfd_open, static_cast<pid_t>(pid_), 0)));
  if (!fd_) throw system_error("reach the process of", file, errno);
  if (start_of_process(pid_) != start) throw Error(file.string() + " names process " + std::to_string(pid_) + ", which is another one now");
}

bool HeldProcess::signal(int signal) const {
  if (syscall(SYS_pidfd_send_signal, fd_.get(), signal, nullptr, 0) == 0) return true;
  if (errno == ESRCH) return false;
  throw Error("process " + std::to_string(pid_) + " can't be asked: it belongs to another user");
}

}  // namespace flowrun::io
