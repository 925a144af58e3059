#include "tools/app/replay/past_run.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "graph/contract/device.h"
#include "graph/contract/version.h"
#include "tools/app/json_files.h"
#include "tools/app/load/load.h"
#include "tools/app/load/part.h"
#include "tools/app/run/resume.h"

namespace flowrun::app {
namespace {

namespace fs = std::filesystem;
using nlohmann::ordered_json;

CheckedPipeline load(const io::RunPaths& paths, bool trust) {
  if (!fs::exists(paths.pipeline)) {
    throw PipelineError("error: " + paths.root.string() + " holds no run: there is no " + paths.pipeline.filename().string() + " in it");
  }
  CheckedPipeline pipeline = load_checked({.file = paths.pipeline.string(), .sets = {}, .trust = trust});
  if (pipeline.training_source < 0) throw PipelineError("error: " + paths.root.string() + ": the run trains nothing, so it has no steps to repeat");
  return pipeline;
}

std::map<int64_t, ReportedStep> read_steps(const fs::path& path) {
  std::map<int64_t, ReportedStep> out;
  each_line(path, [&](const ordered_json& line) {
    const auto step = line.find("step"), ledger = line.find("ledger"), epoch = line.find("epoch");
    if (step == line.end() || !step->is_number_integer() || ledger == line.end() || !ledger->is_string()) return;
    const auto& text = ledger->get_ref<const std::string&>();
    ReportedStep reported{.ledger = 0, .epoch = epoch != line.end() && epoch->is_number() ? epoch->get<double>() : 0};
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), reported.ledger, 16);
    if (error == std::errc() && end == text.data() + text.size()) out[step->get<int64_t>()] = reported;
  });
  return out;
}

Replaced read_replaced(const fs::path& path) {
  Replaced out;
  each_line(path, [&](const ordered_json& line) {
    if (!line.value("kept", false)) ++out[{line.value("epoch", uint64_t{0}), line.value("position", uint64_t{0})}];
  });
  return out;
}

std::string what_is_edited(const ordered_json& stored) {
  const auto resolved = stored.find("resolved");
  if (resolved == stored.end() || !resolved->is_object()) return "pipeline.resolved.json has lost its hash: it was edited";
  if (resolved->value("version", "") != version) {
    return "the run was made by flowrun " + resolved->value("version", "of another version") + ", this is " + version;
  }
  if (resolved->value("hash", "") != pipeline_hash(stored)) return "pipeline.resolved.json was edited after the run began: its hash is another";
  return "";
}

/// The file of a sample, by the key that its source gives it: the path itself, "shard: name", "image with labels".
fs::path file_of(const std::string& key) {
  std::error_code ignored;
  for (const size_t length : {key.size(), key.find(": "), key.find(" with ")}) {
    fs::path path = key.substr(0, length);
    if (length != std::string::npos && fs::is_regular_file(path, ignored)) return path;
  }
  return {};
}

}  // namespace

PastRun::PastRun(const fs::path& run, bool trust) : paths(run), pipeline(load(paths, trust)) {
  edited = what_is_edited(stored_pipeline(paths));
  steps = read_steps(paths.metrics);
  replaced = read_replaced(paths.quarantine);
  data = DataRecord::read(paths);
  if (const auto change = data ? data->last_change() : std::nullopt) {
    other_data_until = change->after_step;
    steps.erase(steps.begin(), steps.upper_bound(other_data_until));
  }
}

std::string PastRun::not_reported(int64_t step) const {
  if (step <= other_data_until) {
    return "step " + std::to_string(step) + " was made with other data: the run goes on with those of now since step " +
           std::to_string(other_data_until + 1);
  }
  const std::string what = "step " + std::to_string(step) + " was not reported: ";
  if (steps.empty()) return what + "there is no line in " + paths.metrics.string();
  const auto next = steps.upper_bound(step);
  if (next == steps.end()) return what + "the last reported step is " + std::to_string(steps.rbegin()->first);
  const std::string then = std::to_string(next->first);
  return what + (next == steps.begin() ? "the first reported step is " + then
                                       : "the reported steps beside it are " + std::to_string(std::prev(next)->first) + " and " + then);
}

RepeatedRun::RepeatedRun(PastRun& past, RepeatOptions options) : past_(past), options_(std::move(options)) {
  const std::vector<bool> trains = lower(past.pipeline).trains;
  std::vector<bool> wanted = trains;
  std::map<std::string, bool> in_ledger;
  for (size_t n = 0; n < wanted.size(); ++n) {
    const std::string& name = past.pipeline.nodes[n].name;
    in_ledger[name] = trains[n];
    if (std::find(options_.nodes.begin(), options_.nodes.end(), name) != options_.nodes.end()) wanted[n] = true;
  }
  mark_ancestors(past.pipeline, wanted);
  // Device nodes that use no model may also write to the ledger.
  const int source = past.pipeline.training_source;
  const std::vector<bool> marked = input_side(past.pipeline, source, /*on_device=*/true, wanted);
  pipeline_ = host_part_of(std::move(past.pipeline), source, marked);
  pipeline_.run.max_bad = INT64_MAX;
  EngineOptions engine;
  engine.threads = options_.threads;
  engine.tap = options_.tap;
  engine.replaced = &replaced_;
  for (const CheckedNode& node : pipeline_.nodes) engine.in_ledger.push_back(in_ledger[node.name]);
  engine.on_data = [this](const ordered_json& sources, const std::function<void(const DataChange&)>& changed) {
    if (!past_.data) return;
    const std::string differences = past_.data->differences(sources);
    if (past_.data->counts_differ(sources)) {
      throw PipelineError("error: the data differ from those of the run, so its steps can't be repeated:" + differences);
    }
    changed_data_ = differences;  // as many samples: the ledgers tell which
    if (!differences.empty()) log_warning("the data are not those of the run:" + differences);
    if (const auto change = past_.data->last_change()) changed(*change);
  };
  engine.on_step = [this](const StepContext& context) {
    found_[context.step] = context.ledger;
    if (options_.on_step) options_.on_step(context.step);
  };
  engine.on_quarantine = [this](const BadSample& bad) {
    if (!bad.kept) failed_.push_back(bad);
  };
  engine_ = std::make_unique<Engine>(pipeline_, std::move(engine));
}

std::map<int64_t, uint64_t> RepeatedRun::ledgers(int64_t first_step, int64_t last_step) { return ledgers(first_step, last_step, past_.replaced); }

std::map<int64_t, uint64_t> RepeatedRun::ledgers(int64_t first_step, int64_t last_step, const Replaced& replaced) {
  replaced_ = replaced;
  found_.clear();
  failed_.clear();
  engine_->repeat(first_step, last_step);
  return found_;
}

std::string RepeatedRun::reason(int64_t step) const {
  for (const BadSample& bad : failed_) {
    if (static_cast<int64_t>(bad.epoch) * engine_->info().steps_per_epoch + static_cast<int64_t>(bad.position) / engine_->info().batch + 1 -
            engine_->info().epoch_shift ==
        step) {
      return bad.key + " could be read in the run and fails now: " + bad.error;
    }
  }
  if (const auto then = past_.steps.find(step); then != past_.steps.end() && then->second.epoch > 0) {
    const int64_t per_epoch = std::llround(static_cast<double>(step) / then->second.epoch);
    if (per_epoch != engine_->info().steps_per_epoch) {
      return source().name + " has another number of samples now: an epoch is " + std::to_string(engine_->info().steps_per_epoch) +
             " steps and was " + std::to_string(per_epoch);
    }
  }
  if (!past_.edited.empty()) return past_.edited;
  std::error_code ignored;
  const auto begun = fs::last_write_time(past_.paths.pipeline, ignored);
  const std::vector<StepSample> samples = engine_->samples_of(step, past_.replaced);
  for (const StepSample& sample : samples) {
    const fs::path file = file_of(sample.key);
    if (!file.empty() && fs::last_write_time(file, ignored) > begun) return file.string() + " was changed after the run began";
  }
  for (const StepSample& sample : samples) {
    const fs::path folder = file_of(sample.key).parent_path();
    if (!folder.empty() && fs::last_write_time(folder, ignored) > begun)
      return "files of " + folder.string() + " were added, removed or renamed after the run began";
  }
  return "no file of the step is newer than the run: metrics.jsonl was changed, or the files were and kept their times";
}

}  // namespace flowrun::app
