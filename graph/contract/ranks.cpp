#include "graph/contract/ranks.h"

#include <algorithm>
#include <charconv>
#include <cstring>
#include <optional>

#include "graph/text/error.h"

namespace flowrun {
namespace {

using Environment = std::function<const char*(const char*)>;

/// The variables by which a launcher gives a process its rank.
struct Launcher {
  const char* name;
  const char* sign;  // set: the process was started by this launcher
  const char *rank, *world, *local_rank, *local_world;
};

constexpr Launcher launchers[] = {
    {"torchrun", "WORLD_SIZE", "RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE"},
    // Only srun sets these: a batch script has SLURM_NTASKS too, but is one process.
    {"Slurm", "SLURM_STEP_NUM_TASKS", "SLURM_PROCID", "SLURM_STEP_NUM_TASKS", "SLURM_LOCALID", "SLURM_STEP_TASKS_PER_NODE"},
    {"Open MPI", "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_LOCAL_RANK", "OMPI_COMM_WORLD_LOCAL_SIZE"},
    {"MPI (PMI)", "PMI_SIZE", "PMI_RANK", "PMI_SIZE", "MPI_LOCALRANKID", "MPI_LOCALNRANKS"},
};

[[noreturn]] void refuse(const Launcher& from, const std::string& what) {
  throw PipelineError("error: started by " + std::string(from.name) + " (" + from.sign + " is set), but " + what);
}

/// Slurm writes "4(x2),3" for several nodes: the first number is good enough for sharing cores.
std::optional<int> number(const char* text) {
  int value = 0;
  if (text == nullptr || std::from_chars(text, text + std::strlen(text), value).ec != std::errc()) return {};
  return value;
}

int required(const Environment& get, const Launcher& from, const char* name, int lowest, int highest) {
  const char* text = get(name);
  if (text == nullptr) refuse(from, std::string(name) + " is not");
  const std::optional<int> value = number(text);
  if (!value || *value < lowest || *value > highest) {
    refuse(from, std::string(name) + " is \"" + text + "\", not a number from " + std::to_string(lowest) + " to " + std::to_string(highest));
  }
  return *value;
}

/// The first name in Slurm's list: "gpu[03-05,7]" begins with gpu03.
std::string first_host(const std::string& list) {
  const size_t end = list.find_first_of(",[");
  if (end == std::string::npos || list[end] == ',') return list.substr(0, end);
  return list.substr(0, end) + list.substr(end + 1, list.find_first_of(",-]", end + 1) - end - 1);
}

void find_store(const Environment& get, const Launcher& from, Launch& launch) {
  const char* host = get("MASTER_ADDR");
  const char* nodes = get("SLURM_STEP_NODELIST");
  if (host != nullptr) {
    launch.host = host;
  } else if (nodes != nullptr) {
    launch.host = first_host(nodes);
  } else if (launch.local_world == launch.world && get(from.local_world) != nullptr) {
    launch.host = "127.0.0.1";
  } else {
    refuse(from, "MASTER_ADDR, the machine of rank 0, is not");
  }
  if (get("MASTER_PORT") != nullptr) {
    launch.port = required(get, from, "MASTER_PORT", 1, 65535);
  } else if (const auto job = number(get("SLURM_JOB_ID"))) {
    launch.port = 20000 + *job % 20000;  // two jobs on a machine must not share a port
  } else {
    refuse(from, "MASTER_PORT, a free port on " + launch.host + ", is not");
  }
}

}  // namespace

Launch find_launch(const Environment& get) {
  Launch launch;
  for (const Launcher& from : launchers) {
    if (get(from.sign) == nullptr) continue;
    launch.world = required(get, from, from.world, 1, 1 << 20);
    launch.rank = required(get, from, from.rank, 0, launch.world - 1);
    launch.local_world = number(get(from.local_world)).value_or(launch.world);
    launch.local_rank = number(get(from.local_rank)).value_or(launch.rank % std::max(1, launch.local_world));
    if (launch.world > 1) find_store(get, from, launch);
    launch.by = from.name;
    const char* agent = get("TORCHELASTIC_USE_AGENT_STORE");
    launch.hosts_store = launch.rank == 0 && (agent == nullptr || std::string(agent) != "True");
    launch.restarts = number(get("TORCHELASTIC_RESTART_COUNT")).value_or(0);
    return launch;
  }
  if (get("RANK") != nullptr) throw PipelineError("error: RANK is set, but WORLD_SIZE is not: unset it, or start with torchrun --no-python");
  return launch;
}

namespace {

JoinRanks& current() {
  static JoinRanks join = nullptr;
  return join;
}

}  // namespace

void register_ranks(JoinRanks join) { current() = join; }

void Ranks::require_all(const std::string& what) {
  if (!in_part_) return;
  in_part_ = false;  // asking is a collective call itself
  std::vector<int64_t> left = {0};
  sum(left, what);
  if (left[0] > 0) throw PartLeft();
  in_part_ = true;
}

std::string Ranks::end_part(const std::string& why) {
  const char* const what = "agreeing on how an evaluation ended";
  if (in_part_) {
    in_part_ = false;
    std::vector<int64_t> left = {why.empty() ? 0 : 1};
    sum(left, what);
    if (left[0] == 0) return "";
  }
  const std::vector<std::string> all = gather(why, what);
  if (std::all_of(all.begin(), all.end(), [&](const std::string& other) { return other == why; })) return why;
  const auto first = std::find_if(all.begin(), all.end(), [](const std::string& other) { return !other.empty(); });
  return "rank " + std::to_string(first - all.begin()) + ": " + *first;
}

std::unique_ptr<Ranks> join_ranks(const Launch& launch) {
  if (launch.world == 1) return nullptr;
  if (current() == nullptr) throw RankError("this program is built without the layer through which ranks communicate");
  return current()(launch);
}

}  // namespace flowrun
