// Joining the other ranks: the store through which they find each other, and the process groups (PyTorch's c10d).
#include <ATen/ops/empty_like.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/zeros.h>
#include <algorithm>
#include <arpa/inet.h>
#include <array>
#include <atomic>
#include <bit>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <dlfcn.h>
#include <memory>
#include <netdb.h>
#include <netinet/in.h>
#include <optional>
#include <sys/socket.h>
#include <torch/csrc/distributed/c10d/PrefixStore.hpp>
#include <torch/csrc/distributed/c10d/ProcessGroupGloo.hpp>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>
#include <unistd.h>

#include "graph/contract/deadline.h"
#include "graph/contract/device.h"
#include "nodes/lib/host/device/cuda_module.h"
#include "nodes/lib/tensor/ranks/group.h"
#include "nodes/lib/tensor/ranks/pulse.h"

/// Replaces the C library's function in the whole process: addresses stay numbers. c10d's sockets look up the name of every
/// peer, for log lines, and the thread that serves the store waits for the answers: a slow or unreachable name server delays
/// all ranks, seconds at a time (pytorch/pytorch issue 159007).
extern "C" int getnameinfo(const sockaddr* address, socklen_t length, char* host, socklen_t host_room, char* service, socklen_t service_room,
                           int flags) {
  static const auto of_libc = reinterpret_cast<decltype(&getnameinfo)>(dlsym(RTLD_NEXT, "getnameinfo"));
  return of_libc(address, length, host, host_room, service, service_room, flags | NI_NUMERICHOST);
}

namespace flowrun::ranks {
namespace {

using c10d::Store;
using std::chrono::milliseconds;

/// Longer than a third of a year counts as for ever: clocks can't count further.
milliseconds timeout_of(const Launch& launch) { return milliseconds(static_cast<int64_t>(std::min(launch.timeout, 1e7) * 1000)); }

constexpr milliseconds grace{2000};  // within which c10d itself reports what is wrong

/// Whether a socket may be bound to the address of the name, so that other machines still reach it: a number, or a name with one
/// address that isn't this machine's loop (Debian gives a machine's own name 127.0.1.1).
bool is_for_all(const std::string& host, const addrinfo& found) {
  const bool is_number = ::inet_pton(AF_INET, host.c_str(), std::array<char, sizeof(in_addr)>().data()) == 1 ||
                         ::inet_pton(AF_INET6, host.c_str(), std::array<char, sizeof(in6_addr)>().data()) == 1;
  if (is_number || host == "localhost") return true;
  if (found.ai_next != nullptr) return false;
  if (found.ai_family == AF_INET6) return !IN6_IS_ADDR_LOOPBACK(&reinterpret_cast<const sockaddr_in6*>(found.ai_addr)->sin6_addr);
  return (ntohl(reinterpret_cast<const sockaddr_in*>(found.ai_addr)->sin_addr.s_addr) >> 24) != 127;
}

/// A socket that accepts connections only at that address. None if the address is not this machine's, or if there are several:
/// then c10d accepts them at all addresses. Throws RankError when the port is in use.
std::optional<int> listen_at(const std::string& host, int port) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (::getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &found) != 0 || found == nullptr) return {};
  const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> all(found, &::freeaddrinfo);
  if (!is_for_all(host, *found)) return {};
  // "localhost" may be both ::1 and 127.0.0.1: clients try both.
  for (const addrinfo* one = found; one != nullptr; one = one->ai_next) {
    const int yes = 1, fd = ::socket(one->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) continue;
    ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    if (::bind(fd, one->ai_addr, one->ai_addrlen) == 0 && ::listen(fd, SOMAXCONN) == 0) return fd;
    const int code = errno;
    ::close(fd);
    if (code == EADDRINUSE) throw RankError("port " + std::to_string(port) + " of " + host + " is taken by another program");
  }
  return {};
}

std::string place_of(const Launch& launch) {
  return "rank " + std::to_string(launch.rank) + " of " + std::to_string(launch.world) + " (" + launch.by + "), store at " + launch.host + ":" +
         std::to_string(launch.port) + (launch.hosts_store ? ", which this process opens" : "");
}

std::string first_line(const char* what) {
  const std::string all = what;
  return all.substr(0, all.find('\n'));
}

class Group final : public TensorRanks {
 public:
  explicit Group(const Launch& launch) : TensorRanks(launch) {
    open_store();
    asking_ = another_connection();
    pulse_.emplace(another_connection(), launch);
    control_ = group("control", /*on_gpu=*/false);
    std::vector<int64_t> all = {1};
    sum(all, "meeting the others");
  }

  ~Group() override {
    // The others notice that this rank has left, and ask for the reason.
    gradients_.reset(), control_.reset();
    if (has_failed_ && launch().hosts_store) until_all_know(store_, launch());
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

  void begin(const std::string& what) override {
    require_all(what);
    pulse_->at("at " + purpose(what));
  }
  void end(const std::string& what) override { pulse_->at("after " + purpose(what)); }

  bool first_to(const std::string& what) noexcept override {
    try {
      const auto before = std::make_shared<std::atomic<int64_t>>(0);
      runs_within(grace, [before, what, store = store_] { *before = store->clone()->add("first/" + what, 1) - 1; });
      return *before == 0;
    } catch (const std::exception&) {
      return true;
    }
  }

  void failed(const std::string& why) noexcept override {
    has_failed_ = true;
    tell_failure(store_, launch(), why);
    abandon_exchange();
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
    exchanges_on_gpu_ = !device_runtime(device).info().on_host;
    if (!gradients_) gradients_ = group("gradients", exchanges_on_gpu_);
    return gradients_;
  }

  void missing(const std::string& what, const std::string& kind, const std::string& why) override {
    throw RankError(diagnosis(asking_, launch()) + "\n  found out by rank " + std::to_string(launch().rank) + " at " + purpose(what) + " (" + kind +
                    "): " + first_line(why.c_str()));
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
    // torchrun keeps its store over restarts.
    const std::string prefix = "flowrun/" + std::to_string(launch().restarts);
    try {
      if (options.isServer) options.masterListenFd = listen_at(launch().host, launch().port);
      store_ = in_time<Store>(timeout_of(launch()) + grace, [prefix, options, host = launch().host]() -> c10::intrusive_ptr<Store> {
        return c10::make_intrusive<c10d::PrefixStore>(prefix, c10::make_intrusive<c10d::TCPStore>(host, options));
      });
    } catch (const std::exception& error) {
      throw RankError("the ranks can't meet: " + place_of(launch()) + ": " + first_line(error.what()) +
                      "\n  check that MASTER_ADDR is the machine of rank 0, that MASTER_PORT is free there, and that rank 0 has started");
    }
  }

  c10::intrusive_ptr<Store> another_connection() const {
    return in_time<Store>(timeout_of(launch()) + grace, [store = store_] { return store->clone(); });
  }

  /// c10d waits for ever for a store that accepts connections but is silent. `make` must own everything it uses. Throws
  /// RankError.
  template <class T>
  c10::intrusive_ptr<T> in_time(milliseconds limit, std::function<c10::intrusive_ptr<T>()> make) const {
    const auto made = std::make_shared<c10::intrusive_ptr<T>>();
    if (!runs_within(limit, [made, make = std::move(make)] { *made = make(); })) throw RankError(silent_store(launch()));
    return *made;
  }

  c10::intrusive_ptr<c10d::ProcessGroup> group(const char* name, bool on_gpu) {
    try {
      const auto store = c10::make_intrusive<c10d::PrefixStore>(name, store_);
      auto out = c10::make_intrusive<c10d::ProcessGroup>(store, launch().rank, launch().world);
      if (on_gpu) {
        add_nccl(*out, store);
        return out;
      }
      // Ranks may come one after the other, and each is waited for.
      const auto backend = in_time<c10d::ProcessGroupGloo>(2 * timeout_of(launch()) + 5 * grace, [store, launch = launch()] {
        return c10::make_intrusive<c10d::ProcessGroupGloo>(store, launch.rank, launch.world,
                                                           c10d::ProcessGroupGloo::Options::create_default(timeout_of(launch)));
      });
      out->setBackend(c10::DeviceType::CPU, c10d::ProcessGroup::BackendType::GLOO, backend);
      out->setDefaultBackend(c10d::ProcessGroup::BackendType::GLOO);
      return out;
    } catch (const std::exception& error) {
      std::string absent;
      try {
        absent = diagnosis(asking_, launch()) + "; ";
      } catch (const std::exception&) {
        // Only the error itself is known then.
      }
      throw RankError("the ranks met, but can't connect: " + absent + place_of(launch()) + ": " + first_line(error.what()) +
                      "\n  GLOO_SOCKET_IFNAME (and NCCL_SOCKET_IFNAME) name the network interface to use");
    }
  }

  void add_nccl(c10d::ProcessGroup& group, const c10::intrusive_ptr<Store>& store) const;

  /// A GPU's all-reduce whose peer is gone never ends, and everything that waits for its CUDA stream hangs with it, until
  /// NCCL's watchdog ends the process.
  void abandon_exchange() noexcept {
    if (!gradients_ || !exchanges_on_gpu_) return;
    try {
      gradients_->abort();
    } catch (const std::exception&) {  // the failure itself is reported already
    }
  }

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

  c10::intrusive_ptr<Store> store_, asking_;  // the second only for diagnoses: it may be left waiting
  std::optional<Pulse> pulse_;
  c10::intrusive_ptr<c10d::ProcessGroup> control_, gradients_;
  int64_t sums_ = 0;
  std::atomic<bool> exchanges_on_gpu_{false};
  std::atomic<bool> has_failed_{false};
};

/// Recursive doubling: in each round two ranks whose numbers differ in one bit add up what both have, so the rounds are log2 of
/// the world, where Gloo's ring needs 2 (world - 1). Ranks beyond the largest power of two give their numbers to one below and
/// get the sum back. Of integers, any order gives the same sum.
void Group::add_up(Tensor mine) {
  const int rank = launch().rank, world = launch().world;
  const int whole = static_cast<int>(std::bit_floor(static_cast<unsigned>(world)));
  // Every message of the last 2^24 sums has a tag of its own; Gloo keeps tags of messages apart from those of collectives.
  const int tag = static_cast<int>(sums_++ % (1 << 24)) * 64;
  constexpr int in = 62, out = 63;  // for ranks beyond; other tags are rounds
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
  // Gloo's sender waits until the receiver has asked: so all receives are posted at once.
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
