// Meeting the other ranks: the store through which they find each other, and the process groups (PyTorch's c10d).
#include <ATen/ops/empty_like.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/zeros.h>
#include <algorithm>
#include <atomic>
#include <bit>
#include <chrono>
#include <condition_variable>
#include <cstring>
#include <dlfcn.h>
#include <mutex>
#include <netdb.h>
#include <optional>
#include <thread>
#include <torch/csrc/distributed/c10d/PrefixStore.hpp>
#include <torch/csrc/distributed/c10d/ProcessGroupGloo.hpp>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>

#include "nodes/device/cuda_module.h"
#include "nodes/ranks/group.h"

/// In place of the C library's, for the whole process: addresses stay numbers. c10d's sockets ask for the names of all they
/// connect to or accept, for log lines, and the thread that serves the store waits for the answers: a name server that is slow
/// or can't be reached holds up all ranks, seconds at a time (pytorch/pytorch issue 159007).
extern "C" int getnameinfo(const sockaddr* address, socklen_t length, char* host, socklen_t host_room, char* service, socklen_t service_room,
                           int flags) {
  static const auto of_libc = reinterpret_cast<decltype(&getnameinfo)>(dlsym(RTLD_NEXT, "getnameinfo"));
  return of_libc(address, length, host, host_room, service, service_room, flags | NI_NUMERICHOST);
}

namespace flowrun::ranks {
namespace {

using c10d::Store;
using std::chrono::milliseconds;

std::vector<uint8_t> bytes(const std::string& text) { return {text.begin(), text.end()}; }
std::string text(const std::vector<uint8_t>& bytes) { return {bytes.begin(), bytes.end()}; }
std::string key(const char* what, int rank) { return std::string(what) + "/" + std::to_string(rank); }

milliseconds timeout_of(const Launch& launch) { return milliseconds(static_cast<int64_t>(launch.timeout * 1000)); }

std::string place_of(const Launch& launch) {
  return "rank " + std::to_string(launch.rank) + " of " + std::to_string(launch.world) + " (" + launch.by + "), store at " + launch.host + ":" +
         std::to_string(launch.port) + (launch.hosts_store ? ", which this process opens" : "");
}

std::string first_line(const char* what) {
  const std::string all = what;
  return all.substr(0, all.find('\n'));
}

/// Shows the others that this process lives, and where it is; tells which of them don't.
class Pulse {
 public:
  Pulse(const c10::intrusive_ptr<Store>& store, const Launch& launch) : store_(store->clone()), launch_(launch), thread_([this] { beat(); }) {}
  ~Pulse() {
    {
      const std::lock_guard lock(mutex_);
      over_ = true;
    }
    wakes_.notify_all();
    thread_.join();
  }

  void at(const std::string& where) {
    const std::lock_guard lock(mutex_);
    where_ = where;
  }

  /// Who has failed, or has not shown itself lately, or else where everybody is. Takes some seconds.
  static std::string diagnosis(Store& store, const Launch& launch) {
    try {
      for (int attempt = 0; attempt < 4; ++attempt) {
        const std::string failed = failures(store, launch);
        if (!failed.empty()) return failed;
        std::this_thread::sleep_for(milliseconds(500));
      }
      // Who lives shows itself in every interval; on a busy machine it may miss some.
      const std::vector<std::string> before = pulses(store, launch);
      std::vector<std::string> after;
      std::vector<int> lost;
      for (int looks = 1; looks <= 3 || (looks <= 6 && !lost.empty()); ++looks) {
        std::this_thread::sleep_for(interval);
        if (const std::string failed = failures(store, launch); !failed.empty()) return failed;
        after = pulses(store, launch);
        lost = silent(before, after, launch);
      }
      const auto where = [&](int rank) {
        const std::string& now = after[static_cast<size_t>(rank)];
        return now.empty() ? "before its first step" : now.substr(now.find(' ') + 1);
      };
      std::string out = lost.empty() ? "all ranks live, but they are not at the same place:" : "";
      for (const int rank : lost) out += (out.empty() ? "rank " : ", rank ") + std::to_string(rank) + " is gone (last seen " + where(rank) + ")";
      for (int rank = 0; lost.empty() && rank < std::min(launch.world, 16); ++rank) out += "\n  rank " + std::to_string(rank) + ": " + where(rank);
      return out;
    } catch (const std::exception&) {
      return "the store at " + launch.host + ":" + std::to_string(launch.port) + " does not answer: rank 0, or the torchrun that held it, is gone";
    }
  }

  /// A store ends with the process that opened it: the others, whose connections to this rank are closed, may still read there
  /// why. Who has read it fails and says so in turn; who was killed is silent. Takes no longer than some seconds.
  static void until_all_know(Store& store, const Launch& launch) noexcept {
    using std::chrono::steady_clock;
    const auto until = steady_clock::now() + std::min(timeout_of(launch), 20 * interval);
    try {
      std::vector<std::string> shown = pulses(store, launch);
      std::vector<steady_clock::time_point> at(shown.size(), steady_clock::now());
      const auto waits_for = [&](const std::vector<std::string>& now, int rank) {
        const auto r = static_cast<size_t>(rank);
        if (rank == launch.rank || store.check({key("failed", rank)})) return false;
        if (now[r] != shown[r]) at[r] = steady_clock::now(), shown[r] = now[r];
        return steady_clock::now() - at[r] < 5 * interval;
      };
      for (bool waits = true; waits && steady_clock::now() < until;) {
        std::this_thread::sleep_for(milliseconds(50));
        const std::vector<std::string> now = pulses(store, launch);
        waits = false;
        for (int rank = 0; rank < launch.world; ++rank) waits = waits_for(now, rank) || waits;
      }
    } catch (const std::exception&) {
      // Nothing is left to be read.
    }
  }

 private:
  static constexpr milliseconds interval{1000};

  static std::string failures(Store& store, const Launch& launch) {
    std::string out;
    for (int rank = 0; rank < launch.world; ++rank) {
      if (rank == launch.rank || !store.check({key("failed", rank)})) continue;
      out += (out.empty() ? "" : "\n") + std::string("rank ") + std::to_string(rank) + " failed: " + text(store.get(key("failed", rank)));
    }
    return out;
  }

  /// The other ranks that did not show themselves between two looks.
  static std::vector<int> silent(const std::vector<std::string>& before, const std::vector<std::string>& after, const Launch& launch) {
    std::vector<int> out;
    for (int rank = 0; rank < launch.world; ++rank) {
      if (rank != launch.rank && after[static_cast<size_t>(rank)] == before[static_cast<size_t>(rank)]) out.push_back(rank);
    }
    return out;
  }

  static std::vector<std::string> pulses(Store& store, const Launch& launch) {
    std::vector<std::string> out;
    for (int rank = 0; rank < launch.world; ++rank) {
      out.push_back(store.check({key("pulse", rank)}) ? text(store.get(key("pulse", rank))) : "");
    }
    return out;
  }

  void beat() {
    std::unique_lock lock(mutex_);
    for (int64_t count = 1; !over_; ++count) {
      const std::string now = std::to_string(count) + " " + where_;
      lock.unlock();
      try {
        store_->set(key("pulse", launch_.rank), bytes(now));
      } catch (const std::exception&) {
        return;  // nobody there to tell
      }
      lock.lock();
      wakes_.wait_for(lock, interval, [&] { return over_; });
    }
  }

  c10::intrusive_ptr<Store> store_;
  const Launch launch_;
  std::mutex mutex_;
  std::condition_variable wakes_;
  bool over_ = false;
  std::string where_ = "before its first step";
  std::thread thread_;
};

class Group final : public TensorRanks {
 public:
  explicit Group(const Launch& launch) : TensorRanks(launch) {
    open_store();
    pulse_.emplace(store_, launch);
    control_ = group("control", "cpu");
    std::vector<int64_t> all = {1};
    sum(all, "meeting the others");
  }

  ~Group() override {
    // The others find out that this rank has left, and ask why.
    gradients_.reset(), control_.reset();
    if (has_failed_ && launch().hosts_store) Pulse::until_all_know(*store_, launch());
  }
  Group(const Group&) = delete;
  Group& operator=(const Group&) = delete;

  void sum(std::vector<int64_t>& values, const std::string& what) override {
    begin(what);
    try {
      add_up(at::from_blob(values.data(), {static_cast<int64_t>(values.size())}, at::kLong));
    } catch (const std::exception& error) {
      missing(what, "all-reduce", error.what());
    }
    end(what);
  }

  std::vector<std::string> gather(const std::string& mine, const std::string& what) override {
    std::vector<int64_t> longest(static_cast<size_t>(launch().world));
    longest[static_cast<size_t>(launch().rank)] = static_cast<int64_t>(mine.size());
    sum(longest, what);
    const int64_t width = std::max<int64_t>(1, *std::max_element(longest.begin(), longest.end()));
    const Tensor host = at::zeros({width}, at::kByte);
    std::memcpy(host.mutable_data_ptr<uint8_t>(), mine.data(), mine.size());
    std::vector<std::string> out;
    for (const Tensor& one : all_gather(host, what)) {
      out.emplace_back(reinterpret_cast<const char*>(one.const_data_ptr<uint8_t>()), static_cast<size_t>(longest[out.size()]));
    }
    return out;
  }

  void begin(const std::string& what) override { pulse_->at("at " + purpose(what)); }
  void end(const std::string& what) override { pulse_->at("after " + purpose(what)); }

  void failed(const std::string& why) noexcept override {
    has_failed_ = true;
    try {
      store_->set(key("failed", launch().rank), bytes(why));
    } catch (const std::exception&) {
      // The store is gone, and with it the run.
    }
  }

  void all_reduce(Tensor& host, const std::string& what) override {
    std::vector<Tensor> tensors = {host};
    wait(what, "all-reduce", [&] { return control_->allreduce(tensors); });
  }

  std::vector<Tensor> all_gather(const Tensor& host, const std::string& what) override {
    std::vector<std::vector<Tensor>> out(1);
    for (int rank = 0; rank < launch().world; ++rank) out[0].push_back(at::empty_like(host));
    std::vector<Tensor> in = {host};
    wait(what, "all-gather", [&] { return control_->allgather(out, in); });
    return out[0];
  }

  std::vector<Tensor> gather_to_first(const Tensor& host, const std::string& what) override {
    std::vector<std::vector<Tensor>> out;
    if (launch().rank == 0) {
      out.emplace_back();
      for (int rank = 0; rank < launch().world; ++rank) out[0].push_back(at::empty_like(host));
    }
    std::vector<Tensor> in = {host};
    wait(what, "gather", [&] { return control_->gather(out, in, c10d::GatherOptions{.rootRank = 0}); });
    return out.empty() ? std::vector<Tensor>{} : out[0];
  }

  c10::intrusive_ptr<c10d::ProcessGroup> gradient_group(const std::string& device) override {
    if (!gradients_) gradients_ = group("gradients", device);
    return gradients_;
  }

  void missing(const std::string& what, const std::string& kind, const std::string& why) override {
    throw RankError(Pulse::diagnosis(*store_, launch()) + "\n  found out by rank " + std::to_string(launch().rank) + " at " + purpose(what) + " (" +
                    kind + "): " + first_line(why.c_str()));
  }

 private:
  void open_store() {
    c10d::TCPStoreOptions options;
    options.port = static_cast<uint16_t>(launch().port);
    options.isServer = launch().hosts_store;
    options.numWorkers = static_cast<size_t>(launch().world);
    options.waitWorkers = false;
    options.timeout = timeout_of(launch());
    options.multiTenant = true;
    try {
      const auto tcp = c10::make_intrusive<c10d::TCPStore>(launch().host, options);
      // torchrun keeps its store over restarts.
      store_ = c10::make_intrusive<c10d::PrefixStore>("flowrun/" + std::to_string(launch().restarts), tcp);
    } catch (const std::exception& error) {
      throw RankError("the ranks can't meet: " + place_of(launch()) + ": " + first_line(error.what()) +
                      "\n  check that MASTER_ADDR is the machine of rank 0, that MASTER_PORT is free there, and that rank 0 has started");
    }
  }

  c10::intrusive_ptr<c10d::ProcessGroup> group(const char* name, const std::string& device) {
    try {
      const auto store = c10::make_intrusive<c10d::PrefixStore>(name, store_);
      auto out = c10::make_intrusive<c10d::ProcessGroup>(store, launch().rank, launch().world);
      if (device == "cuda") {
        add_nccl(*out, store);
        return out;
      }
      const auto backend = c10::make_intrusive<c10d::ProcessGroupGloo>(store, launch().rank, launch().world,
                                                                       c10d::ProcessGroupGloo::Options::create_default(timeout_of(launch())));
      out->setBackend(c10::DeviceType::CPU, c10d::ProcessGroup::BackendType::GLOO, backend);
      out->setDefaultBackend(c10d::ProcessGroup::BackendType::GLOO);
      return out;
    } catch (const std::exception& error) {
      std::string absent;
      try {
        absent = Pulse::diagnosis(*store_, launch()) + "; ";
      } catch (const std::exception&) {
        // The error itself must do.
      }
      throw RankError("the ranks met, but can't connect: " + absent + place_of(launch()) + ": " + first_line(error.what()) +
                      "\n  GLOO_SOCKET_IFNAME (and NCCL_SOCKET_IFNAME) name the network interface to use");
    }
  }

  void add_nccl(c10d::ProcessGroup& group, const c10::intrusive_ptr<Store>& store) const;

  template <class Start>
  void wait(const std::string& what, const char* kind, Start&& start) {
    begin(what);
    try {
      start()->wait();
    } catch (const std::exception& error) {
      missing(what, kind, error.what());
    }
    end(what);
  }

  void add_up(Tensor mine);

  c10::intrusive_ptr<Store> store_;
  std::optional<Pulse> pulse_;
  c10::intrusive_ptr<c10d::ProcessGroup> control_, gradients_;
  int64_t sums_ = 0;
  std::atomic<bool> has_failed_{false};
};

/// Recursive doubling: in each round two ranks whose numbers differ in one bit add up what both have, so the rounds are log2 of
/// the world, where Gloo's ring takes 2 (world - 1). Ranks beyond the largest power of two give their numbers to one below
/// and get the sum back. Of integers, any order gives the same sum.
void Group::add_up(Tensor mine) {
  const int rank = launch().rank, world = launch().world;
  const int whole = static_cast<int>(std::bit_floor(static_cast<unsigned>(world)));
  // Every message of the last 2^24 sums has a tag of its own; Gloo keeps tags of messages apart from those of collectives.
  const int tag = static_cast<int>(sums_++ % (1 << 24)) * 64;
  constexpr int in = 62, out = 63;  // of ranks beyond; the others are rounds
  struct Arrival {
    Tensor values;
    c10::intrusive_ptr<c10d::Work> work;
  };
  const auto expect = [&](int from, int round) {
    Arrival arrival{at::empty_like(mine), nullptr};
    std::vector<Tensor> tensors = {arrival.values};
    arrival.work = control_->recv(tensors, from, tag + round);
    return arrival;
  };
  const auto wait = [&](c10d::Work& work) {
    if (!work.wait(timeout_of(launch()))) throw std::runtime_error("aborted");
  };
  const auto send = [&](int to, int round) {
    std::vector<Tensor> tensors = {mine};
    wait(*control_->send(tensors, to, tag + round));
  };
  if (rank >= whole) {
    const Arrival sum = expect(rank - whole, out);
    send(rank - whole, in);
    wait(*sum.work);
    mine.copy_(sum.values);
    return;
  }
  const bool stands_for_another = rank + whole < world;
  // Gloo's sender waits until the receiver has asked: all is asked for at once.
  std::vector<Arrival> rounds;
  std::optional<Arrival> other;
  if (stands_for_another) other = expect(rank + whole, in);
  for (int bit = 1; bit < whole; bit *= 2) rounds.push_back(expect(rank ^ bit, static_cast<int>(rounds.size())));
  if (other) {
    wait(*other->work);
    mine.add_(other->values);
  }
  for (int round = 0; round < static_cast<int>(rounds.size()); ++round) {
    send(rank ^ (1 << round), round);
    wait(*rounds[static_cast<size_t>(round)].work);
    mine.add_(rounds[static_cast<size_t>(round)].values);
  }
  if (stands_for_another) send(rank + whole, out);
}

void Group::add_nccl(c10d::ProcessGroup& group, const c10::intrusive_ptr<Store>& store) const {
  c10::intrusive_ptr<c10d::Backend> backend;
  CudaModule::get().nccl(&store, launch().rank, launch().world, launch().timeout, &backend);
  group.setBackend(c10::DeviceType::CUDA, c10d::ProcessGroup::BackendType::NCCL, backend);
  group.setDefaultBackend(c10d::ProcessGroup::BackendType::NCCL);
}

const bool registered = (register_ranks([](const Launch& launch) -> std::unique_ptr<Ranks> { return std::make_unique<Group>(launch); }), true);

}  // namespace
}  // namespace flowrun::ranks
