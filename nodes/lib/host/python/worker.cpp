#include "nodes/lib/host/python/worker.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "graph/contract/own_library.h"
#include "graph/contract/python_program.h"
#include "graph/text/error.h"
#include "graph/text/json_text.h"

namespace flowrun::python {
namespace {

// Frames on the socket: kind, length of the text, text. The same numbers are in _worker.py.
constexpr uint32_t open_frame = 1, call_frame = 2, done_frame = 3, error_frame = 4, bad_sample_frame = 5;
struct Frame {
  uint32_t kind, length;
};

// The first page of the memory: 64-bit words, the same in _worker.py. A table of arrays is a count and `slot_words` for each.
constexpr size_t page = 4096, slot_words = 8, most_arrays = 30;
constexpr size_t instance_word = 0, address_word = 1, size_word = 6, inputs_word = 8, outputs_word = 256;
static_assert(outputs_word + 1 + most_arrays * slot_words <= page / sizeof(int64_t) && inputs_word + 1 + most_arrays * slot_words <= outputs_word);
constexpr size_t aligned(size_t bytes) { return (bytes + 63) / 64 * 64; }

[[noreturn]] void fail(const std::string& what) { throw FatalNodeError(what + ": " + std::strerror(errno)); }

/// The package lies beside the library in a build folder, and around it in a wheel; elsewhere the interpreter has its own.
std::vector<std::string> command(const std::string& file) {
  for (const std::filesystem::path& folder : {own_folder() / "../python/flowrun", own_folder() / ".."}) {
    const std::filesystem::path script = (folder / "_worker.py").lexically_normal();
    if (std::filesystem::exists(script)) return {python_program(), script.string(), file};
  }
  return {python_program(), "-m", "flowrun._worker", file};
}

/// This process's environment. Each worker has one core's share of the machine, so its libraries get one thread.
std::vector<std::string> environment() {
  static constexpr std::array<const char*, 3> threads{"OMP_NUM_THREADS=", "OPENBLAS_NUM_THREADS=", "MKL_NUM_THREADS="};
  std::vector<std::string> out;
  for (char** variable = environ; *variable != nullptr; ++variable) {
    bool replaced = false;
    for (const char* const name : threads) replaced = replaced || std::strncmp(*variable, name, std::strlen(name)) == 0;
    if (!replaced) out.emplace_back(*variable);
  }
  for (const char* const name : threads) out.push_back(std::string(name) + "1");
  return out;
}

std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> out;
  for (std::string& text : texts) out.push_back(text.data());
  out.push_back(nullptr);
  return out;
}

/// Starts the process with `socket` as file 3 and `memory` as file 4.
int start(const std::string& file, int socket, int memory) {
  std::vector<std::string> words = command(file), variables = environment();
  // Neither of the two may lie where the other goes.
  const int high_socket = fcntl(socket, F_DUPFD_CLOEXEC, 10), high_memory = fcntl(memory, F_DUPFD_CLOEXEC, 10);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);  // the program's input is its own
  posix_spawn_file_actions_adddup2(&actions, high_socket, 3);
  posix_spawn_file_actions_adddup2(&actions, high_memory, 4);
  pid_t process = -1;
  const int error = posix_spawnp(&process, words[0].c_str(), &actions, nullptr, pointers(words).data(), pointers(variables).data());
  posix_spawn_file_actions_destroy(&actions);
  close(high_socket), close(high_memory);
  if (error == 0) return process;
  throw FatalNodeError(words[0] + " can't be started: " + std::strerror(error) + "; FLOWRUN_PYTHON names the interpreter for nodes in Python");
}

}  // namespace

SharedMemory::SharedMemory() : file_(memfd_create("flowrun", MFD_CLOEXEC)) {
  if (file_ < 0) fail("no memory can be shared with Python");
  grow(page);
}

SharedMemory::~SharedMemory() {
  if (address_ != nullptr) munmap(address_, size_);
  if (file_ >= 0) close(file_);
}

void SharedMemory::grow(size_t bytes) {
  if (bytes <= size_) return;
  // The other process may have made the file larger already.
  const auto now = static_cast<size_t>(std::max<off_t>(lseek(file_, 0, SEEK_END), 0));
  if (now < bytes && ftruncate(file_, static_cast<off_t>(bytes)) != 0)
    fail("memory shared with Python can't grow to " + std::to_string(bytes) + " bytes");
  void* const address =
      address_ == nullptr ? mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file_, 0) : mremap(address_, size_, bytes, MREMAP_MAYMOVE);
  if (address == MAP_FAILED) fail("memory shared with Python can't be mapped");
  address_ = static_cast<uint8_t*>(address), size_ = bytes;
}

Process::Process(const std::string& file, int memory) {
  std::array<int, 2> ends{};
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) != 0) fail("no socket to Python");
  try {
    process_ = start(file, ends[1], memory);
  } catch (...) {
    close(ends[0]), close(ends[1]);
    throw;
  }
  close(ends[1]);
  socket_ = ends[0];
}

Process::~Process() { wait(); }

bool Process::send(const void* data, size_t size) const {
  const char* from = static_cast<const char*>(data);
  while (size > 0) {
    const ssize_t sent = ::send(socket_, from, size, MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent <= 0) return false;
    from += sent, size -= static_cast<size_t>(sent);
  }
  return true;
}

bool Process::receive(void* data, size_t size) const {
  char* to = static_cast<char*>(data);
  while (size > 0) {
    const ssize_t got = recv(socket_, to, size, 0);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return false;
    to += got, size -= static_cast<size_t>(got);
  }
  return true;
}

std::string Process::wait() {
  if (process_ < 0) return "has ended";
  close(socket_);
  int status = 0;
  while (waitpid(process_, &status, 0) < 0 && errno == EINTR) {
  }
  process_ = -1;
  if (!WIFSIGNALED(status)) return "ended with status " + std::to_string(WEXITSTATUS(status));
  return "was ended by signal " + std::to_string(WTERMSIG(status)) + " (" + strsignal(WTERMSIG(status)) + ")";
}

Worker::Worker(const std::string& file) : file_(file), process_(file, memory_.file()), description_(ask(0, "")) {}

void Worker::fail_ended() {
  ended_ = true;
  throw FatalNodeError("the Python process of " + file_ + " " + process_.wait() + "; what it said stands above");
}

/// Sends a frame (none of kind 0, which waits for the process's first words alone), and returns the answer's text as JSON.
nlohmann::json Worker::ask(uint32_t kind, const std::string& text) {
  if (kind != 0) {
    const Frame frame{kind, static_cast<uint32_t>(text.size())};
    if (!process_.send(&frame, sizeof frame) || !process_.send(text.data(), text.size())) fail_ended();
  }
  Frame answer{};
  if (!process_.receive(&answer, sizeof answer)) fail_ended();
  std::string got(answer.length, '\0');
  if (!process_.receive(got.data(), got.size())) fail_ended();
  if (answer.kind == bad_sample_frame) throw NodeError(got);
  if (answer.kind != done_frame) throw FatalNodeError(got);
  return got.empty() ? nlohmann::json() : nlohmann::json::parse(got);
}

nlohmann::json Worker::open(const Instance& instance, const std::set<int64_t>& alive) {
  const nlohmann::json request{{"instance", instance.number}, {"type", instance.type}, {"params", instance.params}, {"alive", alive}};
  nlohmann::json said = ask(open_frame, json_text(request));
  open_.insert(instance.number);
  std::erase_if(open_, [&](int64_t number) { return !alive.contains(number); });
  return said;
}

std::vector<Array> Worker::call(const Instance& instance, const Address& address, const std::vector<Array>& inputs) {
  put(inputs);
  auto* const words = reinterpret_cast<uint64_t*>(memory_.at(0));
  words[instance_word] = static_cast<uint64_t>(instance.number);
  const std::array<uint64_t, 5> place{address.seed, address.stream, address.epoch, address.item, address.position};
  std::copy(place.begin(), place.end(), words + address_word);
  ask(call_frame, "");
  return outputs();
}

void Worker::put(const std::vector<Array>& inputs) {
  if (inputs.size() > most_arrays) throw FatalNodeError("nodes in Python have at most " + std::to_string(most_arrays) + " inputs");
  size_t end = page;
  for (const Array& input : inputs) end += aligned(input.bytes());
  memory_.grow(end);
  auto* const words = reinterpret_cast<int64_t*>(memory_.at(0));
  words[size_word] = static_cast<int64_t>(memory_.size());
  words[inputs_word] = static_cast<int64_t>(inputs.size());
  size_t offset = page;
  for (size_t i = 0; i < inputs.size(); ++i) {
    const Array& input = inputs[i];
    int64_t* const slot = words + inputs_word + 1 + i * slot_words;
    slot[0] = static_cast<int64_t>(input.element), slot[1] = static_cast<int64_t>(input.shape.size()), slot[2] = static_cast<int64_t>(offset);
    std::copy(input.shape.begin(), input.shape.end(), slot + 3);
    if (input.bytes() > 0) std::memcpy(memory_.at(offset), input.data(), input.bytes());
    offset += aligned(input.bytes());
  }
}

std::vector<Array> Worker::outputs() {
  const auto size = static_cast<size_t>(reinterpret_cast<const int64_t*>(memory_.at(0))[size_word]);
  memory_.grow(size);
  const auto* const words = reinterpret_cast<const int64_t*>(memory_.at(0));
  std::vector<Array> out(static_cast<size_t>(std::clamp<int64_t>(words[outputs_word], 0, most_arrays)));
  for (size_t i = 0; i < out.size(); ++i) {
    const int64_t* const slot = words + outputs_word + 1 + i * slot_words;
    Array& array = out[i];
    array.element = static_cast<Element>(slot[0]);
    array.shape.assign(slot + 3, slot + 3 + std::clamp<int64_t>(slot[1], 0, most_axes));
    const auto offset = static_cast<size_t>(slot[2]);
    double bytes = static_cast<double>(size_of(array.element));
    for (const int64_t axis : array.shape) bytes *= axis >= 0 ? static_cast<double>(axis) : 1e300;
    if (offset > memory_.size() || bytes > static_cast<double>(memory_.size() - offset))
      throw FatalNodeError("the Python process wrote past its memory");
    array.elsewhere = memory_.at(offset);
  }
  return out;
}

}  // namespace flowrun::python
