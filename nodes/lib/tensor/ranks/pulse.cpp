#include "nodes/lib/tensor/ranks/pulse.h"

#include <algorithm>
#include <chrono>
#include <memory>
#include <torch/csrc/distributed/c10d/Store.hpp>
#include <vector>

#include "graph/contract/deadline.h"

namespace flowrun::ranks {
namespace {

using c10d::Store;
using std::chrono::milliseconds;

constexpr milliseconds interval{1000};

std::vector<uint8_t> bytes(const std::string& text) { return {text.begin(), text.end()}; }
std::string text(const std::vector<uint8_t>& bytes) { return {bytes.begin(), bytes.end()}; }
std::string key(const char* what, int rank) { return std::string(what) + "/" + std::to_string(rank); }

std::string failures(Store& store, const Launch& launch) {
  std::string out;
  for (int rank = 0; rank < launch.world; ++rank) {
    if (rank == launch.rank || !store.check({key("failed", rank)})) continue;
    out += (out.empty() ? "" : "\n") + std::string("rank ") + std::to_string(rank) + " failed: " + text(store.get(key("failed", rank)));
  }
  return out;
}

/// The other ranks whose heartbeat did not change between two readings.
std::vector<int> silent(const std::vector<std::string>& before, const std::vector<std::string>& after, const Launch& launch) {
  std::vector<int> out;
  for (int rank = 0; rank < launch.world; ++rank) {
    if (rank != launch.rank && after[static_cast<size_t>(rank)] == before[static_cast<size_t>(rank)]) out.push_back(rank);
  }
  return out;
}

constexpr milliseconds patience = 5 * interval;  // with a store that lives, on a busy machine

std::vector<std::string> pulses(Store& store, const Launch& launch) {
  std::vector<std::string> out;
  for (int rank = 0; rank < launch.world; ++rank) {
    out.push_back(store.check({key("pulse", rank)}) ? text(store.get(key("pulse", rank))) : "");
  }
  return out;
}

}  // namespace

Pulse::Pulse(c10::intrusive_ptr<Store> store, const Launch& launch) : store_(std::move(store)), launch_(launch), thread_([this] { beat(); }) {}

Pulse::~Pulse() {
  {
    const std::lock_guard lock(mutex_);
    over_ = true;
  }
  wakes_.notify_all();
  thread_.join();
}

void Pulse::at(const std::string& where) {
  const std::lock_guard lock(mutex_);
  where_ = where;
}

void Pulse::beat() {
  std::unique_lock lock(mutex_);
  for (int64_t count = 1; !over_; ++count) {
    const std::string now = std::to_string(count) + " " + where_;
    lock.unlock();
    try {
      store_->set(key("pulse", launch_.rank), bytes(now));
    } catch (const std::exception&) {
      return;  // no other rank to tell
    }
    lock.lock();
    wakes_.wait_for(lock, interval, [&] { return over_; });
  }
}

void tell_failure(const c10::intrusive_ptr<Store>& store, const Launch& launch, const std::string& why) noexcept {
  try {
    runs_within(patience, [store, name = key("failed", launch.rank), why] { store->set(name, bytes(why)); });
  } catch (const std::exception&) {
    // The store is gone, and with it the run.
  }
}

std::string silent_store(const Launch& launch) {
  return "rank 0, or the torchrun that holds the store, does not answer: its process or its machine stands still, or another program has port " +
         std::to_string(launch.port) + " of " + launch.host;
}

namespace {

std::string ask_all(Store& store, const Launch& launch) {
  for (int attempt = 0; attempt < 4; ++attempt) {
    std::string failed = failures(store, launch);
    if (!failed.empty()) return failed;
    std::this_thread::sleep_for(milliseconds(500));
  }
  // A live rank beats in every interval; on a busy machine it may miss some.
  const std::vector<std::string> before = pulses(store, launch);
  std::vector<std::string> after;
  std::vector<int> lost;
  for (int looks = 1; looks <= 3 || (looks <= 6 && !lost.empty()); ++looks) {
    std::this_thread::sleep_for(interval);
    if (std::string failed = failures(store, launch); !failed.empty()) return failed;
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
}

}  // namespace

std::string diagnosis(const c10::intrusive_ptr<Store>& store, const Launch& launch) {
  const auto out = std::make_shared<std::string>();
  try {
    const bool answers = runs_within(patience, [store, name = key("pulse", 0)] { store->check({name}); }) &&
                         runs_within(6 * patience + milliseconds(20) * launch.world, [store, launch, out] { *out = ask_all(*store, launch); });
    return answers ? *out : silent_store(launch);
  } catch (const std::exception&) {
    return "the store at " + launch.host + ":" + std::to_string(launch.port) + " does not answer: rank 0, or the torchrun that held it, is gone";
  }
}

namespace {

void watch_until_all_know(Store& store, const Launch& launch) {
  using std::chrono::steady_clock;
  const auto until = steady_clock::now() + milliseconds(static_cast<int64_t>(std::min(launch.timeout, 20.0) * 1000));
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
}

}  // namespace

void until_all_know(const c10::intrusive_ptr<Store>& store, const Launch& launch) noexcept {
  try {
    runs_within(20 * interval + patience, [store, launch] { watch_until_all_know(*store, launch); });
  } catch (const std::exception&) {
    // No rank still has to read.
  }
}

}  // namespace flowrun::ranks
