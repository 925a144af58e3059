// The processes that train together, each with a rank. Their number and addresses come from the launcher; their
// communication goes through the layer that owns tensors (nodes/lib/tensor/ranks), as device.h does for devices.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

namespace flowrun {

/// The launcher's account of this process among the others.
struct Launch {
  int rank = 0, world = 1;
  int local_rank = 0, local_world = 1;  // on this machine
  std::string host;                     // of the store through which ranks find each other
  int port = 0;
  std::string by;            // "torchrun", "Slurm", …; empty: one process
  bool hosts_store = false;  // rank 0 opens the store; else torchrun's agent has opened it
  int64_t restarts = 0;      // how often torchrun has restarted all ranks
  double timeout = 600;      // seconds to wait for the others
};

/// Reads the environment through `get` (null: not set): torchrun's variables, then Slurm's, then those of Open MPI, MPICH
/// and Intel MPI. Throws PipelineError when some of a set are missing or invalid: it never guesses a world of 1.
Launch find_launch(const std::function<const char*(const char*)>& get);

/// A collective call failed: another rank is gone, or late.
class RankError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// Thrown by a collective call: another rank has left the part of the run that all ranks are in (Ranks::begin_part).
class PartLeft : public std::runtime_error {
 public:
  PartLeft() : std::runtime_error("another rank could not go on") {}
};

/// All calls but begin_part(), works_for(), purpose(), first_to() and failed() are collective: every rank makes the same ones in
/// the same order, from one thread at a time; they throw RankError, which names the rank that is missing.
class Ranks {
 public:
  explicit Ranks(Launch launch) : launch_(std::move(launch)) {}
  virtual ~Ranks() = default;
  const Launch& launch() const { return launch_; }

  /// Adds up the values over all ranks, in place; wraps around.
  virtual void sum(std::vector<int64_t>& values, const std::string& what) = 0;
  /// The texts of all ranks, by rank.
  virtual std::vector<std::string> gather(const std::string& mine, const std::string& what) = 0;
  /// Names the node that makes the following collective calls, and its step; empty: the engine makes them. Call it on the
  /// thread that makes them.
  void works_for(const std::string& node, int64_t step) { node_ = node, step_ = step; }
  /// "update: the exchange of gradients, step 7": the purpose of a collective call, for messages.
  std::string purpose(const std::string& what) const { return node_.empty() ? what : node_ + ": " + what + ", step " + std::to_string(step_); }
  /// This rank has failed: it makes no more collective calls.
  void part() { together_ = false; }
  bool together() const { return together_; }
  /// From here to end_part() every collective call first checks whether a rank has left the part, and throws PartLeft if one has. So
  /// a rank that can't continue makes the others leave too, wherever they are, and the run continues after the part.
  void begin_part() { in_part_ = true; }
  /// `why`: the reason why this rank leaves; empty when it has reached the end, or caught PartLeft. Returns the first reason of
  /// all ranks, or empty. Must not be called after a RankError.
  std::string end_part(const std::string& why);

  /// Tells the other ranks why this rank ends; any thread. Doesn't throw.
  virtual void failed(const std::string& why) noexcept = 0;
  /// Whether this rank is the first to ask for `what`: for warnings that only one rank gives. True when the store doesn't
  /// answer soon. Any thread.
  virtual bool first_to(const std::string& what) noexcept = 0;

 protected:
  /// Must come first in every collective call.
  void require_all(const std::string& what);

 private:
  Launch launch_;
  std::string node_;
  int64_t step_ = 0;
  bool together_ = true;
  bool in_part_ = false;
};

/// Joins the other ranks. Throws RankError that says what was tried.
using JoinRanks = std::unique_ptr<Ranks> (*)(const Launch& launch);
void register_ranks(JoinRanks join);
/// Null for a world of 1.
std::unique_ptr<Ranks> join_ranks(const Launch& launch);

}  // namespace flowrun
