// Heartbeats: ranks publish their place in the store while they train, for the diagnosis of a failed exchange.
#pragma once

#include <c10/util/intrusive_ptr.h>
#include <condition_variable>
#include <mutex>
#include <string>
#include <thread>

#include "graph/contract/ranks.h"

namespace c10d {
class Store;
}

namespace flowrun::ranks {

/// Publishes, once a second, that this process lives and where it is.
class Pulse {
 public:
  /// `store`: a connection for this object only.
  Pulse(c10::intrusive_ptr<c10d::Store> store, const Launch& launch);
  ~Pulse();
  Pulse(const Pulse&) = delete;
  Pulse& operator=(const Pulse&) = delete;

  /// Any thread.
  void at(const std::string& where);

 private:
  void beat();

  c10::intrusive_ptr<c10d::Store> store_;
  const Launch launch_;
  std::mutex mutex_;
  std::condition_variable wakes_;
  bool over_ = false;
  std::string where_ = "before its first step";
  std::thread thread_;
};

/// A call of the store never returns if the process that serves it hangs. So each of these functions has a time limit, and
/// abandons a thread with its connection if it must.

/// Tells the others why this rank ends.
void tell_failure(const c10::intrusive_ptr<c10d::Store>& store, const Launch& launch, const std::string& why) noexcept;

/// Names the ranks that failed or were silent lately, or else the place of each rank. Takes some seconds. `store`: a connection
/// for this call only.
std::string diagnosis(const c10::intrusive_ptr<c10d::Store>& store, const Launch& launch);

/// The rank that serves the store, and the reason for its silence, for messages.
std::string silent_store(const Launch& launch);

/// A store ends with the process that opened it. The other ranks, whose connections to this rank are closed, may still have to
/// read the reason there, so this waits for them. Ranks that have read the reason fail and report it; killed ranks never answer.
/// Returns after some seconds at most.
void until_all_know(const c10::intrusive_ptr<c10d::Store>& store, const Launch& launch) noexcept;

}  // namespace flowrun::ranks
