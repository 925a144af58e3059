#include "tools/app/sweep/sweep.h"

#include <algorithm>
#include <chrono>
#include <filesystem>

#include "graph/contract/direction.h"
#include "graph/text/json_text.h"
#include "io/file.h"
#include "io/run/run_directory.h"
#include "tools/app/exit.h"
#include "tools/app/run/agreement.h"
#include "tools/app/run/disk.h"
#include "tools/app/sweep/answer.h"
#include "tools/app/sweep/folders.h"
#include "tools/app/sweep/session.h"
#include "tools/app/sweep/share.h"
#include "tools/app/sweep/table.h"
#include "tools/app/sweep/words.h"

namespace flowrun::app {
namespace {

using nlohmann::ordered_json;
namespace fs = std::filesystem;

fs::path out_of(const SweepArgs& args, const SweepPlan& plan) { return args.out.empty() ? fs::path("runs") / plan.name : fs::path(args.out); }

/// One call of `flowrun sweep` after its files have been read and checked.
class Sweeping {
 public:
  Sweeping(const SweepArgs& args, SweepPlan plan, Caller& caller)
      : args_(args),
        plan_(std::move(plan)),
        out_(out_of(args, plan_)),
        caller_(caller),
        cells_(args.cells),
        began_(std::chrono::steady_clock::now()) {
    if (cells_.has_file() && plan_.seeds.empty()) throw PipelineError("error: --cells holds runs by seed: give --seeds, or seeds in the sweep file");
  }

  /// Runs all that is left. The exit status.
  int run(VariantRunner& runner) {
    say_what_decides();
    const bool is_new = !fs::exists(out_);
    if (is_new) require_room(planned(without_cells()), out_, args_.share);  // a sweep that is refused makes no folder
    fs::create_directories(out_);
    lock_ = io::lock_directory(out_);  // only one of two sweeps at once
    io::remove_dead_temporaries(out_);
    const std::vector<Variant> left = left_of(plan_.runs);
    if (!is_new) require_room(planned(left), out_, args_.share);
    return run_all(left, runner);
  }

  /// Runs one, beside other processes that run others of the same sweep. The exit status.
  int run_only(int64_t number, VariantRunner& runner) {
    if (number < 0 || number >= static_cast<int64_t>(plan_.runs.size()))
      throw PipelineError("error: --only " + std::to_string(number) + ": the sweep's runs are numbered from 0 to " +
                          std::to_string(plan_.runs.size() - 1));
    if (fs::exists(out_) && io::is_locked(out_)) throw RunError("another process runs the whole sweep in " + out_.string());
    plan_.runs = {plan_.runs[static_cast<size_t>(number)]};
    const std::vector<Variant> left = left_of(plan_.runs);
    require_room(planned(left), out_, false);
    fs::create_directories(out_);
    return run_all(left, runner);
  }

  /// What all runs have found so far, also in the folder's sweep.md and sweep.json. `report`: finished runs of other pipelines are told and left out.
  Swept found(int status, bool report) {
    const std::vector<Found> all = gather(report);
    if (args_.only) {
      ordered_json rows = rows_of(all);
      std::string table = table_of_runs(rows);
      return {.status = status, .found = {{"runs", std::move(rows)}}, .table = std::move(table)};
    }
    const Answer answer = answer_of(plan_, all);
    if (report && answer.variants.empty()) throw RunError("no run of the sweep is done in " + out_.string());
    ordered_json rows = rows_of(all);
    Swept swept{.status = status, .found = {}, .table = ""};
    if (plan_.seeds.empty()) {
      swept.table = table_of_runs(rows);
    } else if (!answer.variants.empty()) {
      swept.table = table_of_variants(answer);
    }
    swept.table += text_below(plan_, answer, rows);
    swept.found = {{"runs", std::move(rows)}};
    swept.found.update(answer_json(answer));
    swept.found["answer"] = sentences(plan_, answer);
    if (fs::exists(out_)) {
      io::write_file_atomic(out_ / "sweep.md", swept.table);
      io::write_file_atomic(out_ / "sweep.json", json_text(swept.found, 2) + "\n");
    }
    return swept;
  }

 private:
  /// Of each run, from its folder, which has all metrics, or from the file of finished runs.
  std::vector<Found> gather(bool report) {
    std::vector<Found> out;
    for (const Variant& run : plan_.runs) {
      out.push_back(read_found(out_ / run.name));
      bool other = false;
      if (auto cell = cells_.find(run, other)) {
        const bool same = out.back().is_done() && other_pipeline(out_ / run.name, run.pipeline).empty();
        if (!same) out.back() = std::move(*cell);
        continue;
      }
      if (other && report) say_other_files(run);
      if (report && out.back().is_done()) leave_out_other(run, out.back());
      if (!args_.only) cells_.add(run, out.back());  // tasks of an array job would write at the same time
    }
    return out;
  }

  /// Variant by variant.
  ordered_json rows_of(const std::vector<Found>& found) const {
    ordered_json rows = ordered_json::array();
    for (const std::string& variant : plan_.variants) {
      for (size_t r = 0; r < plan_.runs.size(); ++r) {
        if (plan_.runs[r].variant == variant) rows.push_back(row_of(plan_.runs[r], found[r], (out_ / plan_.runs[r].name).string()));
      }
    }
    return rows;
  }

  /// Before anything runs, so that nobody chooses afterwards.
  void say_what_decides() {
    if (plan_.variants.size() < 2 || plan_.seeds.size() < 2) return;
    const bool higher = is_higher_better(plan_, plan_.decide);
    caller_.say(std::to_string(plan_.variants.size()) + " variants with " + std::to_string(plan_.seeds.size()) + " seeds; " + plan_.decide +
                " decides (" + (higher ? "higher" : "lower") + " is better), against " + plan_.baseline);
  }

  std::vector<Variant> without_cells() const {
    std::vector<Variant> out;
    bool other = false;
    for (const Variant& run : plan_.runs) {
      if (!cells_.find(run, other)) out.push_back(run);
    }
    return out;
  }

  std::vector<PlannedRun> planned(const std::vector<Variant>& runs) const {
    std::vector<PlannedRun> out;
    for (const Variant& run : runs) out.push_back({run.pipeline, out_ / run.name});
    return out;
  }

  void say_other_files(const Variant& run) { caller_.say(run.name + " in " + args_.cells + " was made by other files: not used"); }

  void leave_out_other(const Variant& run, Found& found) {
    const std::string values = other_pipeline(out_ / run.name, run.pipeline);
    if (values.empty()) return;
    found.status = "other pipeline";
    caller_.say(run.name + " was made by another pipeline, and is left out:" + values);
  }

  /// The runs that are not done. Folders that can't be used are found before anything runs.
  std::vector<Variant> left_of(const std::vector<Variant>& runs) {
    std::vector<Variant> left;
    for (const Variant& variant : runs) {
      const fs::path run = out_ / variant.name;
      bool other = false;
      if (cells_.find(variant, other)) continue;
      if (other) say_other_files(variant);
      if (io::is_locked(run)) throw RunError("another process is writing " + run.string() + ": stop it or choose another --out");
      const bool done = read_found(run).is_done();
      if (io::holds_run(run) && !done && !goes_on(run)) require_own_run(run);
      if (done || (io::holds_run(run) && goes_on(run))) require_same_pipeline(variant, run);
      if (done) {
        require_metric(run);
        caller_.say(variant.name + " is done already");
        add_session(run, variant.pipeline, plan_.changed);
      } else {
        left.push_back(variant);
      }
    }
    return left;
  }

  static void require_same_pipeline(const Variant& variant, const fs::path& run) {
    const std::string values = other_pipeline(run, variant.pipeline);
    if (!values.empty()) throw RunError(run.string() + " is a run of another pipeline:" + values + "\nmove it away, or choose another --out");
  }

  /// An evaluation whose numbers were not known beforehand may lack the one that decides: the first run that is done tells.
  void require_metric(const fs::path& run) const {
    if (plan_.chosen || args_.only) return;
    const Found found = read_found(run);
    std::vector<std::string> has;
    for (const auto& [metric, value] : found.metrics) {
      if (node_of(metric) == node_of(plan_.decide)) has.push_back(metric);
    }
    if (!found.is_done() || has.empty() || found.metric(plan_.decide) != nullptr) return;
    throw PipelineError("error: decide \"" + plan_.decide + "\": " + run.string() + " has no such metric\n  " + did_you_mean(plan_.decide, has) +
                        "it has " + join(has));
  }

  bool time_is_over() const {
    const std::chrono::duration<double> passed = std::chrono::steady_clock::now() - began_;
    return args_.minutes > 0 && passed.count() > 60 * args_.minutes;
  }

  std::vector<Round> rounds_of(const std::vector<Variant>& variants) {
    if (args_.share) return plan_rounds(variants, static_cast<size_t>(args_.memory_mib) << 20, caller_);
    std::vector<Round> out;
    for (size_t v = 0; v < variants.size(); ++v) out.push_back({{v}, ""});
    return out;
  }

  /// One after the other, or round after round, until one is stopped. The exit status.
  int run_all(const std::vector<Variant>& variants, VariantRunner& runner) {
    const std::vector<Round> rounds = rounds_of(variants);
    runner.begin();
    int status = 0;
    size_t begun = 0;
    for (const Round& round : rounds) {
      if (runner.stopped()) return exit_stopped;
      if (time_is_over()) {
        caller_.say("the minutes are over: " + std::to_string(variants.size() - begun) + " of " + std::to_string(variants.size()) + " runs are left");
        return status;
      }
      std::vector<Variant> members;
      std::vector<std::string> names;
      for (const size_t v : round.variants) members.push_back(variants[v]), names.push_back(variants[v].name);
      const std::string place = std::to_string(begun + 1) + (members.size() > 1 ? " to " + std::to_string(begun + members.size()) : "");
      begun += members.size();
      caller_.say((plan_.seeds.empty() ? "variant " : "run ") + place + " of " + std::to_string(variants.size()) + ": " + join(names));
      if (members.size() > 1) caller_.say(round.what);
      const int ended = runner.run(members, out_);
      for (const Variant& variant : members) conclude(variant);
      for (const Variant& variant : members) require_metric(out_ / variant.name);
      if (ended == exit_stopped) return exit_stopped;
      if (ended != 0) status = exit_failed;
    }
    return status;
  }

  void conclude(const Variant& variant) {
    add_session(out_ / variant.name, variant.pipeline, plan_.changed);
    if (!args_.only) cells_.add(variant, read_found(out_ / variant.name));
  }

  const SweepArgs& args_;
  SweepPlan plan_;
  fs::path out_;
  Caller& caller_;
  Cells cells_;
  std::chrono::steady_clock::time_point began_;
  io::FileDescriptor lock_;
};

}  // namespace

RunArgs variant_args(const Variant& variant, const fs::path& out, const SweepArgs& args) {
  RunArgs run;
  run.pipeline = variant.pipeline;
  run.out = out.string();
  run.quiet = args.quiet;
  run.threads = args.threads;
  run.resume = goes_on(out);
  if (!run.resume && io::holds_run(out)) make_room(out);  // interrupted before its first checkpoint: nothing is lost
  return run;
}

int sweep_together(const SweepArgs& args, Caller& caller) {
  const SweepPlan plan = plan_sweep(args);
  std::vector<Variant> members;
  for (const Variant& run : plan.runs) {
    if (std::find(args.together.begin(), args.together.end(), run.name) != args.together.end()) members.push_back(run);
  }
  return run_together(members, args.out, args, caller);
}

Swept sweep(const SweepArgs& args, Caller& caller, VariantRunner& runner) {
  require_one_process("a sweep", "run its variants one by one with them");
  SweepPlan plan = plan_sweep(args);
  check_variants(plan);
  Sweeping sweeping(args, std::move(plan), caller);
  if (args.report) return sweeping.found(0, true);
  const int status = args.only ? sweeping.run_only(*args.only, runner) : sweeping.run(runner);
  return sweeping.found(status, false);
}

std::vector<std::string> sweep_words(const SweepArgs& args) {
  std::vector<std::string> words = {"sweep"};
  words.insert(words.end(), args.files.begin(), args.files.end());
  if (!args.seeds.empty()) words.insert(words.end(), {"--seeds", args.seeds});
  for (const std::string& set : args.sets) words.insert(words.end(), {"--set", set});
  return words;
}

}  // namespace flowrun::app
