// sweep: a list of variants of one pipeline, each run by a process of its own, and a table of what came of them.
#include <algorithm>
#include <csignal>
#include <cstdio>
#include <filesystem>
#include <iostream>
#include <nlohmann/json.hpp>
#include <sys/wait.h>
#include <unistd.h>

#include "graph/context.h"
#include "io/checkpoint.h"
#include "io/file.h"
#include "io/run_directory.h"
#include "io/strict_json.h"
#include "tools/flowrun/json_files.h"
#include "tools/flowrun/load.h"

namespace flowrun::tool {
namespace {

using nlohmann::ordered_json;
namespace fs = std::filesystem;

struct Variant {
  std::string name;
  PipelineArgs pipeline;
};

struct SweepFile {
  std::string path;
  std::vector<Variant> variants;
};

[[noreturn]] void fault(const std::string& path, const std::string& what) { throw PipelineError("error: " + path + ": " + what); }

std::vector<std::string> sets_of(const std::string& path, const std::string& where, const nlohmann::json& object) {
  if (!object.is_object()) fault(path, where + " must be an object from path to value, such as {\"mask.regions\": 1}");
  std::vector<std::string> sets;
  for (const auto& [key, value] : object.items()) sets.push_back(key + "=" + value.dump());
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
  SweepFile out{path, {}};
  for (const auto& [name, changes] : sweep["variants"].items()) {
    if (!is_name(name)) fault(path, "the name \"" + name + "\" of a variant is to be a folder: letters, digits, - _ and . only");
    Variant variant{name, {}};
    variant.pipeline.sets = common;
    if (changes.is_string()) {
      variant.pipeline.file = beside(changes);
    } else {
      if (!sweep.contains("base") || !sweep["base"].is_string()) fault(path, "base must name the pipeline that the variants change");
      variant.pipeline.file = beside(sweep["base"]);
      for (std::string& set : sets_of(path, "variants." + name, changes)) variant.pipeline.sets.push_back(std::move(set));
    }
    out.variants.push_back(std::move(variant));
  }
  return out;
}

bool is_done(const fs::path& run) {
  const ordered_json result = read_json(io::RunPaths(run).result);
  return result.is_object() && result.value("status", "") == "done";
}

/// `flowrun run …` as a process of its own, with this one's terminal. Its exit status.
int run_variant(const Variant& variant, const fs::path& out, const SweepArgs& args) {
  std::vector<std::string> words = {"flowrun", "run", variant.pipeline.file, "--out", out.string()};
  for (const std::string& set : variant.pipeline.sets) words.insert(words.end(), {"--set", set});
  if (args.quiet) words.emplace_back("--quiet");
  if (args.threads > 0) words.insert(words.end(), {"--threads", std::to_string(args.threads)});
  if (io::newest_complete_checkpoint(io::RunPaths(out).checkpoints)) {
    words.emplace_back("--resume");
  } else if (io::holds_run(out)) {
    fs::remove_all(out);  // broken off before its first checkpoint: nothing is lost
  }
  std::vector<char*> pointers;
  for (std::string& word : words) pointers.push_back(word.data());
  pointers.push_back(nullptr);
  const pid_t child = fork();
  if (child < 0) throw RunError("no process could be started");
  if (child == 0) {
    execv("/proc/self/exe", pointers.data());
    _exit(127);
  }
  int status = 0;
  while (waitpid(child, &status, 0) < 0) {
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : exit_failed;
}

/// The last reported loss, and what each evaluation found last.
ordered_json row_of(const Variant& variant, const fs::path& out) {
  const io::RunPaths paths(out);
  ordered_json row = {{"variant", variant.name}, {"set", variant.pipeline.sets}, {"run", out.string()}, {"status", "not run"}};
  const ordered_json result = read_json(paths.result);
  if (!result.is_object()) return row;
  row["status"] = result.value("status", "?");
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

}  // namespace

int sweep(const SweepArgs& args) {
  const SweepFile file = load_sweep(args.file);
  for (const Variant& variant : file.variants) {
    try {
      load_checked(variant.pipeline);  // all faults before anything runs
    } catch (const PipelineError& error) {
      throw PipelineError("variant " + variant.name + " of " + args.file + ":\n" + error.what());
    }
  }
  const fs::path out = args.out.empty() ? fs::path("runs") / fs::path(args.file).stem() : fs::path(args.out);
  fs::create_directories(out);
  std::signal(SIGINT, SIG_IGN);  // Ctrl-C is for the run, whose exit status says that it was stopped
  ordered_json rows = ordered_json::array();
  int status = 0, number = 0;
  for (const Variant& variant : file.variants) {
    ++number;
    const fs::path run = out / variant.name;
    if (is_done(run)) {
      std::fprintf(stderr, "variant %d of %zu: %s is done already\n", number, file.variants.size(), variant.name.c_str());
    } else if (status != exit_stopped) {
      std::fprintf(stderr, "variant %d of %zu: %s\n", number, file.variants.size(), variant.name.c_str());
      const int ended = run_variant(variant, run, args);
      if (ended != 0) status = ended == exit_stopped ? exit_stopped : exit_failed;
    }
    rows.push_back(row_of(variant, run));
  }
  const std::string table = table_of(rows);
  io::write_file_atomic(out / "sweep.md", table);
  io::write_file_atomic(out / "sweep.json", rows.dump(2) + "\n");
  std::cout << (args.json ? rows.dump(2) + "\n" : table);
  return status;
}

}  // namespace flowrun::tool
