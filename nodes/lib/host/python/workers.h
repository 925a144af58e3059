// The processes of one file of Python, as it was read: as many as threads call its nodes at once.
#pragma once

#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "nodes/lib/host/python/worker.h"

namespace flowrun::python {

/// Any thread. Errors are those of Worker.
class Workers {
 public:
  explicit Workers(std::string file) : file_(std::move(file)) {}

  /// The file's nodes.
  nlohmann::json describe();
  /// From now on workers may be asked for the node. Returns what it says of itself.
  nlohmann::json open(const Instance& instance);
  /// The node is not called again.
  void close(const Instance& instance);

  /// Calls the node in a process of its own choice, and `take(outputs)` while they lie in its memory.
  template <class Take>
  void call(const Instance& instance, const Address& address, const std::vector<Array>& inputs, Take&& take) {
    Lease lease(*this);
    if (!lease.worker->has(instance)) lease.worker->open(instance, alive());
    take(lease.worker->call(instance, address, inputs));
  }

 private:
  struct Lease {
    explicit Lease(Workers& of) : of(of), worker(of.idle_or_new()) {}
    ~Lease() { of.put_back(std::move(worker)); }
    Lease(const Lease&) = delete;
    Lease& operator=(const Lease&) = delete;
    Workers& of;
    std::unique_ptr<Worker> worker;
  };
  std::unique_ptr<Worker> idle_or_new();
  void put_back(std::unique_ptr<Worker> worker);
  std::set<int64_t> alive();

  const std::string file_;
  std::mutex mutex_;
  std::vector<std::unique_ptr<Worker>> idle_;  // the last one was used last
  std::set<int64_t> alive_;
};

/// Those of the file as it was read last.
std::shared_ptr<Workers> workers_of(const std::string& file);
/// Has new processes read the file, which may have been edited. Nodes that are there keep those that they have.
std::shared_ptr<Workers> read_again(const std::string& file);

}  // namespace flowrun::python
