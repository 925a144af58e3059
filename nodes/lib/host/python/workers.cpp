#include "nodes/lib/host/python/workers.h"

#include <map>
#include <utility>

namespace flowrun::python {

namespace {

struct Files {
  std::mutex mutex;
  std::map<std::string, std::shared_ptr<Workers>> workers;
};
// Never destroyed: processes that wait end with this one.
Files& files() {
  static auto& all = *new Files();
  return all;
}

}  // namespace

nlohmann::json Workers::describe() {
  Lease lease(*this);
  return lease.worker->description();
}

nlohmann::json Workers::open(const Instance& instance) {
  {
    const std::lock_guard lock(mutex_);
    alive_.insert(instance.number);
  }
  Lease lease(*this);
  return lease.worker->open(instance, alive());
}

void Workers::close(const Instance& instance) {
  const std::lock_guard lock(mutex_);
  alive_.erase(instance.number);
}

std::unique_ptr<Worker> Workers::idle_or_new() {
  {
    const std::lock_guard lock(mutex_);
    if (!idle_.empty()) {
      std::unique_ptr<Worker> out = std::move(idle_.back());
      idle_.pop_back();
      return out;
    }
  }
  return std::make_unique<Worker>(file_);
}

void Workers::put_back(std::unique_ptr<Worker> worker) {
  if (worker->ended()) return;
  const std::lock_guard lock(mutex_);
  idle_.push_back(std::move(worker));
}

std::set<int64_t> Workers::alive() {
  const std::lock_guard lock(mutex_);
  return alive_;
}

std::shared_ptr<Workers> workers_of(const std::string& file) {
  Files& all = files();
  const std::lock_guard lock(all.mutex);
  return all.workers.at(file);
}

std::shared_ptr<Workers> read_again(const std::string& file) {
  Files& all = files();
  const std::lock_guard lock(all.mutex);
  return all.workers[file] = std::make_shared<Workers>(file);
}

}  // namespace flowrun::python
