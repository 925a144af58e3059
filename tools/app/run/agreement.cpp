#include "tools/app/run/agreement.h"

#include <algorithm>
#include <cstdlib>

#include "graph/text/json_text.h"
#include "io/run/run_directory.h"
#include "tools/app/run/resume.h"

namespace flowrun::app {
namespace {

using nlohmann::ordered_json;

/// runs/NAME; for a new run the first of runs/NAME, runs/NAME-2, … that is free, for --resume the last that isn't.
std::filesystem::path run_folder(const RunArgs& args) {
  if (!args.out.empty()) return args.out;
  const std::filesystem::path base = std::filesystem::path("runs") / std::filesystem::path(args.pipeline.file).stem();
  std::filesystem::path last = base;
  for (int n = 1;; ++n) {
    const std::filesystem::path next = n == 1 ? base : std::filesystem::path(base.string() + "-" + std::to_string(n));
    const bool opens = !args.resume && io::is_locked(next);  // a run of another process without results yet
    if (!io::holds_run(next) && !opens) return args.resume ? last : next;
    last = next;
  }
}

}  // namespace

void require_one_process(const std::string& what, const std::string& instead) {
  if (find_launch([](const char* name) { return std::getenv(name); }).world == 1) return;
  throw PipelineError("error: " + what + " is one process: start it without torchrun, srun or mpirun, or " + instead);
}

void refuse_training_ranks(const CheckedPipeline& pipeline, int world) {
  for (const CheckedNode& node : pipeline.nodes) {
    const bool writes = std::any_of(node.uses.begin(), node.uses.end(), [](const ModelUse& use) { return use.access == Models::Access::writes; });
    if (world > 1 && writes) throw PipelineError("error: " + node.name + " trains: start the ranks with torchrun --no-python, srun or mpirun");
  }
}

std::filesystem::path agreed_folder(RunArgs& args, Ranks* ranks) {
  if (ranks == nullptr) return run_folder(args);
  const Launch& launch = ranks->launch();
  if (launch.restarts > 0) args.resume = true;
  std::filesystem::path out = launch.rank == 0 ? run_folder(args) : "";
  if (launch.rank == 0 && launch.restarts > 0 && !io::holds_run(out)) args.resume = false;
  const std::vector<std::string> all = ranks->gather((args.resume ? "+" : "-") + out.string(), "naming the run directory");
  args.resume = all[0][0] == '+';
  return all[0].substr(1);
}

void require_same_on_all(const ordered_json& resolved, Ranks& ranks) {
  ordered_json plain = resolved;
  plain["run"].erase("intra_op");  // machines differ, and each loss is a mean over ranks anyway
  const std::string hash = pipeline_hash(plain);
  const std::vector<std::string> hashes = ranks.gather(hash, "comparing the pipelines");
  if (std::all_of(hashes.begin(), hashes.end(), [&](const std::string& other) { return other == hash; })) return;
  const std::vector<std::string> all = ranks.gather(json_text(resolved), "comparing the pipelines");
  for (size_t rank = 1; rank < all.size(); ++rank) {
    if (hashes[rank] == hashes[0]) continue;
    try {
      require_same(json_of(all[0]), json_of(all[rank]), /*places=*/false);
    } catch (const PipelineError& error) {
      const std::string text = error.what();
      throw PipelineError("error: rank " + std::to_string(rank) +
                          " has another pipeline than rank 0:" + text.substr(text.find('\n'), text.rfind('\n') - text.find('\n')) +
                          "\nstart all ranks with the same file and the same --set");
    }
  }
}

}  // namespace flowrun::app
