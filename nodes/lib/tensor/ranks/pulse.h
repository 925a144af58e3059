// What ranks show each other through the store while they train, and what that says when an exchange fails.
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

/// Shows the others, once a second, that this process lives and where it is.
class Pulse {
 public:
  /// `store`: a connection that nobody else uses.
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

/// A call of the store has no end of its own where the process that serves it stands still. So each of these has one, and leaves
/// a thread behind with its connection where it must.

/// Tells the others why this rank ends.
void tell_failure(const c10::intrusive_ptr<c10d::Store>& store, const Launch& launch, const std::string& why) noexcept;

/// Names the ranks that failed or were silent lately, or else the place of each. Takes some seconds. `store`: a connection that
/// nobody else uses.
std::string diagnosis(const c10::intrusive_ptr<c10d::Store>& store, const Launch& launch);

/// The rank that serves the store, and the reason for its silence, for messages.
std::string silent_store(const Launch& launch);

/// A store ends with the process that opened it. The other ranks, whose connections to this rank are closed, may still have to
/// read the reason there, so this waits for them. Ranks that have read the reason fail and report it; killed ranks never answer.
/// Returns after some seconds at most.
void until_all_know(const c10::intrusive_ptr<c10d::Store>& store, const Launch& launch) noexcept;

}  // namespace flowrun::ranks
