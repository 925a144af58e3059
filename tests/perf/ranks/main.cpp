// Measures how long processes take to add up three words: Gloo's ring and Ranks::sum, in turns.
//   perf_ranks WORLD [CALLS = 200] [REPEATS = 21] [DELAY = 0]
// Gloo's messages are held for DELAY microseconds on their way, as a network would: where that is far more than a message
// takes a core, what is measured is how many follow one another, on any number of cores.
#include <ATen/ops/ones.h>
#include <algorithm>
#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <exception>
#include <mutex>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

#include "nodes/lib/tensor/ranks/group.h"
#include "support/free_port.h"

namespace flowrun {
namespace {

using Clock = std::chrono::steady_clock;

/// Writes to sockets, some time later, in their order.
class Slow {
 public:
  static Slow& get() {
    static Slow slow;
    return slow;
  }
  std::chrono::microseconds delay{0};

  ssize_t write(int socket, const iovec* parts, int count) {
    Message message{socket, "", Clock::now() + delay};
    for (int i = 0; i < count; ++i) message.bytes.append(static_cast<const char*>(parts[i].iov_base), parts[i].iov_len);
    const auto size = static_cast<ssize_t>(message.bytes.size());
    const std::lock_guard lock(mutex_);
    if (!thread_.joinable()) thread_ = std::thread([this] { work(); });  // not before the processes part
    waiting_.push_back(std::move(message));
    wakes_.notify_one();
    return size;
  }

 private:
  struct Message {
    int socket;
    std::string bytes;
    Clock::time_point due;
  };

  [[noreturn]] void work() {
    for (std::unique_lock lock(mutex_);;) {
      wakes_.wait(lock, [&] { return !waiting_.empty(); });
      const Message message = std::move(waiting_.front());
      waiting_.pop_front();
      lock.unlock();
      std::this_thread::sleep_until(message.due);
      for (size_t done = 0; done < message.bytes.size();) {
        const ssize_t more = ::write(message.socket, message.bytes.data() + done, message.bytes.size() - done);
        if (more < 0 && errno != EAGAIN && errno != EINTR) break;  // its end is over
        if (more > 0) done += static_cast<size_t>(more);
      }
      lock.lock();
    }
  }

  std::mutex mutex_;
  std::condition_variable wakes_;
  std::deque<Message> waiting_;
  std::thread thread_;
};

/// Microseconds of a call.
template <class Call>
double took(int calls, Call&& call) {
  const auto begin = Clock::now();
  for (int i = 0; i < calls; ++i) call();
  return std::chrono::duration<double, std::micro>(Clock::now() - begin).count() / calls;
}

std::string spread(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  char out[100];
  std::snprintf(out, sizeof out, "[%.4g, %.4g, %.4g]", values[values.size() / 2], values.front(), values.back());
  return out;
}

void measure(const Launch& launch, int calls, int repeats) {
  const auto joined = join_ranks(launch);
  auto& ranks = static_cast<ranks::TensorRanks&>(*joined);
  std::vector<int64_t> words = {1, 2, 3};
  Tensor tensor = at::ones({3}, at::kLong);
  std::vector<double> ring, doubling, ratio;
  for (int repeat = -1; repeat < repeats; ++repeat) {  // the first warms up
    const double a = took(calls, [&] { ranks.all_reduce(tensor, "the ring"); });
    const double b = took(calls, [&] { ranks.sum(words, "the sum"); });
    if (repeat < 0) continue;
    ring.push_back(a), doubling.push_back(b), ratio.push_back(b / a);
  }
  std::vector<int64_t> end = {0};
  ranks.sum(end, "the end");
  std::this_thread::sleep_for(std::chrono::milliseconds(200) + 10 * Slow::get().delay);  // its last messages are on their way
  if (launch.rank != 0) return;
  std::printf("{\"world\": %d, \"delay_us\": %lld, \"ring_us\": %s, \"sum_us\": %s, \"sum_to_ring\": %s}\n", launch.world,
              static_cast<long long>(Slow::get().delay.count()), spread(ring).c_str(), spread(doubling).c_str(), spread(ratio).c_str());
}

int run(int world, int calls, int repeats) {
  setenv("GLOO_SOCKET_IFNAME", "lo", 0);
  Launch launch;
  launch.world = launch.local_world = world;
  launch.host = "127.0.0.1", launch.port = test::free_port(), launch.by = "perf_ranks", launch.timeout = 60;
  for (int rank = 0; rank < world; ++rank) {
    if (fork() != 0) continue;
    int status = 0;
    try {
      launch.rank = rank, launch.hosts_store = rank == 0;
      measure(launch, calls, repeats);
    } catch (const std::exception& error) {
      std::fprintf(stderr, "rank %d: %s\n", rank, error.what());
      status = 1;
    }
    std::fflush(stdout);
    if (rank == 0) sleep(1);  // it has the store, to which the others still say where they are
    _exit(status);
  }
  int failed = 0;
  for (int status = 0; wait(&status) > 0;) failed |= status;
  return failed == 0 ? 0 : 1;
}

}  // namespace
}  // namespace flowrun

/// In place of the C library's, which is what Gloo sends with.
extern "C" ssize_t writev(int file, const iovec* parts, int count) {
  auto& slow = flowrun::Slow::get();
  int type = 0;
  socklen_t size = sizeof type;
  if (slow.delay.count() > 0 && getsockopt(file, SOL_SOCKET, SO_TYPE, &type, &size) == 0) return slow.write(file, parts, count);
  return syscall(SYS_writev, file, parts, count);
}

int main(int count, char** words) {
  const int world = count > 1 ? std::atoi(words[1]) : 0;
  if (world < 2) return std::fprintf(stderr, "perf_ranks WORLD [CALLS] [REPEATS] [DELAY]\n"), 2;
  if (count > 4) flowrun::Slow::get().delay = std::chrono::microseconds(std::atoi(words[4]));
  return flowrun::run(world, count > 2 ? std::atoi(words[2]) : 200, count > 3 ? std::atoi(words[3]) : 21);
}
