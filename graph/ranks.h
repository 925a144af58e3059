// The processes that train together, each with a rank. Who they are comes from what started them; what they say to each
// other goes through the layer that owns tensors (nodes/ranks), as device.h does for devices.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

namespace flowrun {

/// What started this process says of its place among the others.
struct Launch {
  int rank = 0, world = 1;
  int local_rank = 0, local_world = 1;  // on this machine
  std::string host;                     // of the store through which they find each other
  int port = 0;
  std::string by;            // "torchrun", "Slurm", …; empty: one process
  bool hosts_store = false;  // rank 0 opens the store itself; else somebody has (torchrun's agent)
  int64_t restarts = 0;      // how often torchrun has started them all again
  double timeout = 600;      // seconds to wait for the others
};

/// Reads the environment through `get` (null: not set): torchrun's variables, then Slurm's, then those of Open MPI, MPICH
/// and Intel MPI. Throws PipelineError when some of a set are missing or make no sense: never guesses a world of 1.
Launch find_launch(const std::function<const char*(const char*)>& get);

/// Something that all ranks do together failed: another rank is gone, or late.
class RankError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// Thrown out of a collective call: another rank has left the part of the run that all are in (Ranks::begin_part).
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

  /// Adds up over all ranks, in place; wraps around.
  virtual void sum(std::vector<int64_t>& values, const std::string& what) = 0;
  /// The words of all ranks, by rank.
  virtual std::vector<std::string> gather(const std::string& mine, const std::string& what) = 0;
  /// Names the node that makes the following collective calls, and its step; empty: the engine makes them. Call it on the
  /// thread that makes them.
  void works_for(const std::string& node, int64_t step) { node_ = node, step_ = step; }
  /// "update: the exchange of gradients, step 7": how messages call what such a call is for.
  std::string purpose(const std::string& what) const { return node_.empty() ? what : node_ + ": " + what + ", step " + std::to_string(step_); }
  /// This rank has failed: it makes no collective call any more.
  void part() { together_ = false; }
  bool together() const { return together_; }
  /// From here to end_part() every collective call first asks whether a rank has left the part, and throws PartLeft where one has: so
  /// a rank that can't go on takes the others along, wherever they are, and the run goes on behind the part.
  void begin_part() { in_part_ = true; }
  /// `why`: the reason for which this rank leaves; empty when it has come to the end, or was told by PartLeft. Returns the first
  /// reason of all ranks, empty where there is none. Not to be called after a RankError.
  std::string end_part(const std::string& why);

  /// Tells the others why this rank ends; any thread. Doesn't throw.
  virtual void failed(const std::string& why) noexcept = 0;
  /// Whether this rank is the first of all to ask for `what`: for warnings that one of them gives. True when the store doesn't
  /// answer soon. Any thread.
  virtual bool first_to(const std::string& what) noexcept = 0;

 protected:
  /// Comes first in every collective call.
  void require_all(const std::string& what);

 private:
  Launch launch_;
  std::string node_;
  int64_t step_ = 0;
  bool together_ = true;
  bool in_part_ = false;
};

/// Meets the others. Throws RankError that says what was tried.
using JoinRanks = std::unique_ptr<Ranks> (*)(const Launch& launch);
void register_ranks(JoinRanks join);
/// Null for a world of 1.
std::unique_ptr<Ranks> join_ranks(const Launch& launch);

}  // namespace flowrun
