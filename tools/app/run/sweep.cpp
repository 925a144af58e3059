#include "tools/app/run/sweep.h"

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <set>

#include "graph/contract/context.h"
#include "graph/text/json_text.h"
#include "io/file.h"
#include "io/run/checkpoint.h"
#include "io/run/run_directory.h"
#include "io/strict_json.h"
#include "tools/app/exit.h"
#include "tools/app/json_files.h"
#include "tools/app/load/load.h"
#include "tools/app/run/agreement.h"
#include "tools/app/run/disk.h"
#include "tools/app/run/session.h"
#include "tools/app/run/share.h"

namespace flowrun::app {
namespace {

using nlohmann::ordered_json;
namespace fs = std::filesystem;

struct SweepFile {
  std::string path;
  std::vector<Variant> variants;
  std::set<std::string> changed;  // paths that variants set
};

[[noreturn]] void fault(const std::string& path, const std::string& what) { throw PipelineError("error: " + path + ": " + what); }

std::vector<std::string> sets_of(const std::string& path, const std::string& where, const nlohmann::json& object) {
  if (!object.is_object()) fault(path, where + " must be an object from path to value, such as {\"mask.regions\": 1}");
  std::vector<std::string> sets;
  for (const auto& [key, value] : object.items()) sets.push_back(key + "=" + json_text(value));
  return sets;
}

bool is_name(const std::string& name) {
  return !name.empty() && name[0] != '.' &&
         std::all_of(name.begin(), name.end(), [](unsigned char c) { return std::isalnum(c) != 0 || c == '-' || c == '_' || c == '.'; });
}

/// {"base": FILE, "set": {…}, "variants": {NAME: {PATH: VALUE, …} or "FILE", …}}; files from the sweep's folder.
SweepFile load_sweep(const std::string& path) {
  std::vector<uint8_t> text;
  io::read_file(path, text);
  const nlohmann::json sweep = io::parse_strict_json({reinterpret_cast<const char*>(text.data()), text.size()}, path);
  if (!sweep.is_object()) fault(path, "a sweep is an object with base and variants");
  std::vector<std::string> known = {"about", "base", "set", "variants"};
  for (const auto& [key, value] : sweep.items()) {
    if (std::find(known.begin(), known.end(), key) == known.end())
      fault(path, "unknown key \"" + key + "\"; " + did_you_mean(key, known) + "a sweep has " + join(known));
  }
  if (!sweep.contains("variants") || !sweep["variants"].is_object() || sweep["variants"].empty()) {
    fault(path, "variants must be an object from name to changes, such as {\"one\": {\"mask.regions\": 1}}");
  }
  const auto beside = [&](const nlohmann::json& file) { return (fs::path(path).parent_path() / file.get<std::string>()).string(); };
  const std::vector<std::string> common = sweep.contains("set") ? sets_of(path, "set", sweep["set"]) : std::vector<std::string>{};
  SweepFile out{path, {}, {}};
  for (const auto& [name, changes] : sweep["variants"].items()) {
    if (!is_name(name)) fault(path, "the name \"" + name + "\" of a variant is to be a folder: letters, digits, - _ and . only");
    Variant variant{name, {}};
    variant.pipeline.sets = common;
    if (changes.is_string()) {
      variant.pipeline.file = beside(changes);
    } else {
      if (!sweep.contains("base") || !sweep["base"].is_string()) fault(path, "base must name the pipeline that the variants change");
      variant.pipeline.file = beside(sweep["base"]);
      for (std::string& set : sets_of(path, "variants." + name, changes)) {
        out.changed.insert(set.substr(0, set.find('=')));
        variant.pipeline.sets.push_back(std::move(set));
      }
    }
    out.variants.push_back(std::move(variant));
  }
  return out;
}

bool is_done(const fs::path& run) {
  const ordered_json result = read_json(io::RunPaths(run).result);
  return words_at(result, "status") == "done";
}

/// The files in a folder that no run wrote. Pictures belong to a run if its pipeline names them.
std::vector<std::string> foreign_files(const fs::path& run) {
  std::set<std::string> pictures;
  const ordered_json pipeline = read_json(io::RunPaths(run).pipeline);
  if (pipeline.contains("nodes")) {
    for (const auto& node : pipeline["nodes"]) pictures.insert(words_at(node, "file"));
  }
  std::vector<std::string> out;
  for (const auto& entry : fs::recursive_directory_iterator(run)) {
    const fs::path inside = entry.path().lexically_relative(run);
    const bool is_file = !entry.is_symlink() && (entry.is_regular_file() || entry.is_directory());
    const bool is_picture = inside.extension() == ".png" && pictures.contains(inside.string());
    if (!is_file || (!io::is_run_file(inside) && !is_picture)) out.push_back(inside.string());
  }
  return out;
}

/// Checks that the folder holds only a run that was interrupted before its first checkpoint. Throws RunError otherwise.
void require_own_run(const fs::path& run) {
  const std::string instead = "; move it away, or give another --out";
  if (!fs::exists(io::RunPaths(run).pipeline))
    throw RunError(run.string() + " holds things that no sweep made (it has no pipeline.resolved.json)" + instead);
  const std::vector<std::string> foreign = foreign_files(run);
  if (foreign.empty()) return;
  throw RunError(run.string() + " holds " + foreign[0] + (foreign.size() > 1 ? " and " + std::to_string(foreign.size() - 1) + " more" : "") +
                 ", which no run wrote: it is not begun again" + instead);
}

bool goes_on(const fs::path& run) { return io::newest_complete_checkpoint(io::RunPaths(run).checkpoints).has_value(); }

/// Clears the folder for a variant's run that begins at its first step. The folder itself stays, because it carries the
/// lock.
void make_room(const fs::path& run) {
  const io::FileDescriptor lock = io::lock_directory(run);
  require_own_run(run);
  std::vector<fs::path> entries;
  for (const auto& entry : fs::directory_iterator(run)) entries.push_back(entry.path());
  for (const fs::path& entry : entries) fs::remove_all(entry);
}

std::vector<Variant> named(const SweepFile& file, const std::vector<std::string>& names) {
  std::vector<Variant> out;
  for (const Variant& variant : file.variants) {
    if (std::find(names.begin(), names.end(), variant.name) != names.end()) out.push_back(variant);
  }
  return out;
}

/// The last reported loss, and what each evaluation found last.
ordered_json row_of(const Variant& variant, const fs::path& out) {
  const io::RunPaths paths(out);
  ordered_json row = {{"variant", variant.name}, {"set", variant.pipeline.sets}, {"run", out.string()}, {"status", "not run"}};
  const ordered_json result = read_json(paths.result);
  if (!result.is_object()) return row;
  row["status"] = words_at(result, "status", "?");
  for (const char* field : {"steps", "seconds", "error"}) {
    if (result.contains(field)) row[field] = result[field];
  }
  each_line(paths.metrics, [&](const ordered_json& line) {
    if (line.contains("loss")) row["loss"] = line["loss"];
  });
  for (const auto& [node, entry] : result.items()) {
    if (!entry.is_object()) continue;
    for (const auto& [metric, value] : entry.items()) {
      if (value.is_number() && metric != "step" && metric != "epoch") row[node + " " + metric] = value;
    }
  }
  return row;
}

std::string cell(const ordered_json& row, const std::string& column) {
  if (!row.contains(column) || row[column].is_null()) return "";
  if (row[column].is_string()) return row[column];
  char number[64];
  if (!row[column].is_number()) return json_text(row[column]);
  std::snprintf(number, sizeof number, "%.6g", row[column].get<double>());
  return number;
}

/// Markdown.
std::string table_of(const ordered_json& rows) {
  std::vector<std::string> columns = {"variant", "status", "steps", "seconds", "loss"};
  for (const auto& row : rows) {
    for (const auto& [column, value] : row.items()) {
      if (value.is_number() && std::find(columns.begin(), columns.end(), column) == columns.end()) columns.push_back(column);
    }
  }
  std::string text = "|", rule = "|";
  for (const std::string& column : columns) text += " " + column + " |", rule += "---|";
  text += "\n" + rule + "\n";
  for (const auto& row : rows) {
    text += "|";
    for (const std::string& column : columns) text += " " + cell(row, column) + " |";
    text += "\n";
  }
  return text;
}

SweepFile load_sweep(const SweepArgs& args) {
  require_one_process("a sweep", "run its variants one by one with them");
  SweepFile file = load_sweep(args.file);
  for (Variant& variant : file.variants) variant.pipeline.trust = args.trust;
  return file;
}

/// All faults before anything runs.
void check_all(const SweepFile& file) {
  for (const Variant& variant : file.variants) {
    try {
      load_checked(variant.pipeline);
    } catch (const PipelineError& error) {
      throw PipelineError("variant " + variant.name + " of " + file.path + ":\n" + error.what());
    }
  }
}

/// The variants that are not done. Folders that can't be used are found before anything runs.
std::vector<Variant> left_of(const SweepFile& file, const fs::path& out, Caller& caller) {
  std::vector<Variant> left;
  for (const Variant& variant : file.variants) {
    const fs::path run = out / variant.name;
    if (is_done(run)) {
      caller.say(variant.name + " is done already");
      add_session(run, variant.pipeline, file.changed);
      continue;
    }
    if (io::is_locked(run)) throw RunError("another process is writing " + run.string() + ": stop it or choose another --out");
    if (io::holds_run(run) && !goes_on(run)) require_own_run(run);
    left.push_back(variant);
  }
  return left;
}

/// One after the other, or round after round, until one is stopped. The exit status.
int run_all(const SweepFile& file, const std::vector<Variant>& variants, const fs::path& out, const SweepArgs& args, Caller& caller,
            VariantRunner& runner) {
  std::vector<Round> rounds;
  if (args.share) {
    rounds = plan_rounds(variants, static_cast<size_t>(args.memory_mib) << 20, caller);
  } else {
    for (size_t v = 0; v < variants.size(); ++v) rounds.push_back({{v}, ""});
  }
  runner.begin();
  int status = 0;
  size_t begun = 0;
  for (const Round& round : rounds) {
    if (runner.stopped()) return exit_stopped;
    std::vector<Variant> members;
    std::vector<std::string> names;
    for (const size_t v : round.variants) members.push_back(variants[v]), names.push_back(variants[v].name);
    const std::string place = std::to_string(begun + 1) + (members.size() > 1 ? " to " + std::to_string(begun + members.size()) : "");
    begun += members.size();
    caller.say("variant " + place + " of " + std::to_string(variants.size()) + ": " + join(names));
    if (members.size() > 1) caller.say(round.what);
    const int ended = runner.run(members, out);
    for (const Variant& variant : members) add_session(out / variant.name, variant.pipeline, file.changed);
    if (ended == exit_stopped) return exit_stopped;
    if (ended != 0) status = exit_failed;
  }
  return status;
}

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

int sweep_together(const SweepArgs& args, Caller& caller) { return run_together(named(load_sweep(args), args.together), args.out, args, caller); }

Swept sweep(const SweepArgs& args, Caller& caller, VariantRunner& runner) {
  const SweepFile file = load_sweep(args);
  check_all(file);
  const fs::path out = args.out.empty() ? fs::path("runs") / fs::path(args.file).stem() : fs::path(args.out);
  const bool is_new = !fs::exists(out);
  if (is_new) require_room(file.variants, out, args.share);  // a sweep that is refused makes no folder
  fs::create_directories(out);
  const io::FileDescriptor lock = io::lock_directory(out);  // only one of two sweeps at once
  io::remove_dead_temporaries(out);
  const std::vector<Variant> left = left_of(file, out, caller);
  if (!is_new) require_room(left, out, args.share);
  Swept swept{.status = run_all(file, left, out, args, caller, runner), .rows = ordered_json::array(), .table = ""};
  for (const Variant& variant : file.variants) swept.rows.push_back(row_of(variant, out / variant.name));
  swept.table = table_of(swept.rows);
  io::write_file_atomic(out / "sweep.md", swept.table);
  io::write_file_atomic(out / "sweep.json", json_text(swept.rows, 2) + "\n");
  return swept;
}

}  // namespace flowrun::app
