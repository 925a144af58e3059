#include "tools/app/web/run_list.h"

#include <chrono>
#include <csignal>
#include <sys/stat.h>

#include "graph/text/json_text.h"
#include "io/run/run_holder.h"
#include "tools/app/json_files.h"
#include "tools/app/results/report_story.h"
#include "tools/app/run/monitor.h"

namespace flowrun::app {
namespace {

using nlohmann::ordered_json;
namespace fs = std::filesystem;

constexpr int deepest = 8;
constexpr int64_t most_folders = 20'000;
constexpr size_t most_runs = 5000, most_facts = 64;
constexpr int64_t most_kept = 32 << 20;  // bytes of the JSON files whose facts are kept
constexpr size_t most_told = 24;         // evaluations of a run in the list
constexpr size_t most_words = 2000;      // bytes of a text in the list
constexpr double as_slow = 10;           // facts of a run that goes on: at most this part of the time is spent on reading them
constexpr int64_t fresh = 60;            // seconds without a change after which a run of another machine counts as ended
constexpr int64_t tail = 256 << 10;      // bytes of metrics.jsonl in which the last lines are looked for

double now() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

/// In nanoseconds since 1970, and the size; zeros where there is no such file.
std::pair<int64_t, int64_t> time_and_size(const fs::path& path) {
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0) return {0, 0};
  return {info.st_mtim.tv_sec * int64_t{1'000'000'000} + info.st_mtim.tv_nsec, info.st_size};
}

int64_t seconds_of(int64_t nanoseconds) { return nanoseconds / 1'000'000'000; }

/// The last reported value of each number, from the last lines.
ordered_json last_metrics(const RunFile& file) {
  ordered_json out = ordered_json::object();
  const auto take = [&](const ordered_json& entry) {
    for (const char* key : {"step", "loss", "images_per_second"}) {
      if (entry.contains(key)) out[key] = entry[key];
    }
  };
  each_line(file, take, tail, std::max<int64_t>(0, file.size() - tail));
  return out;
}

/// running, the status of result.json, or that there is none.
std::string status_of(const fs::path& run, const ordered_json& result, int64_t changed) {
  if (!result.is_null()) return words_at(result, "status", "?");
  std::error_code ignored;
  const int64_t since = std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch()).count() - changed;
  const bool elsewhere = fs::exists(run / process_name, ignored) && since < fresh;
  return is_live(run, false) || elsewhere ? "running" : "no result";
}

/// A text of a pipeline or result, cut where it is longer than any that people read in a table.
ordered_json short_words(const ordered_json& object, const char* key) {
  const std::string words = words_at(object, key);
  return words.size() <= most_words ? words : as_utf8(words.substr(0, most_words)) + " ...";
}

ordered_json or_null(const std::optional<double>& value) { return value ? ordered_json(*value) : ordered_json(); }

}  // namespace

bool is_live(const fs::path& run, bool ask) {
  std::error_code ignored;
  const fs::path file = run / process_name;
  if (!fs::is_regular_file(file, ignored) || fs::file_size(file, ignored) > 4096 || !is_below(file, run)) return false;
  try {
    const io::HeldProcess process(file);
    return !ask || process.signal(SIGUSR1);
  } catch (const std::exception&) {  // another machine's, another user's, or none
    return false;
  }
}

ordered_json told_json(const RunFacts& facts) {
  ordered_json out = ordered_json::array();
  for (const Told& told : told_evaluations(facts)) {
    out.push_back({{"node", told.node},
                   {"value", told.value},
                   {"share", told.is_share()},
                   {"more_is_better", told.is_better(1, 0)},
                   {"start", or_null(told.start)},
                   {"last", or_null(told.last ? told.last : told.start)},
                   {"best", or_null(told.best)},
                   {"best_step", told.best_step},
                   {"pixels", or_null(told.pixels)}});
  }
  return out;
}

bool is_served(const std::string& name) {
  const bool plain = !name.empty() && name.find_first_of("/\\") == std::string::npos && name.find('\0') == std::string::npos && name[0] != '.';
  return plain && (name.ends_with(".png") || name == "report.html");
}

void RunList::scan(const fs::path& folder, int depth) {
  std::error_code error;
  if (++folders_ > most_folders || runs_.size() >= most_runs) {
    left_out_ = true;
    return;
  }
  if (fs::is_regular_file(folder / "pipeline.resolved.json", error) && is_below(folder / "pipeline.resolved.json", folder)) {
    runs_.emplace(as_utf8(folder.lexically_relative(root_).generic_string()), folder);
    return;  // no run lies in another
  }
  if (depth == deepest) return;
  std::vector<fs::path> inner;
  for (auto entry = fs::directory_iterator(folder, fs::directory_options::skip_permission_denied, error); !error && entry != fs::directory_iterator();
       entry.increment(error)) {
    std::error_code ignored;
    if (entry->is_directory(ignored) && !entry->is_symlink(ignored)) inner.push_back(entry->path());
  }
  std::sort(inner.begin(), inner.end());
  for (const fs::path& path : inner) scan(path, depth + 1);
}

void RunList::scan() {
  runs_.clear();
  folders_ = 0;
  left_out_ = false;
  scan(root_, 0);
  std::erase_if(known_, [&](const auto& entry) { return !runs_.contains(entry.first); });
}

RunList::Stamp RunList::stamp(const fs::path& run) {
  Stamp out;
  for (const char* name : {"pipeline.resolved.json", "metrics.jsonl", "evaluations.jsonl", "result.json", "stats.json", status_json_name})
    out.push_back(time_and_size(run / name));
  return out;
}

ordered_json RunList::summary(const std::string& name, const fs::path& run) {
  const RunFacts facts(run, RunFacts::Read::evaluations);
  const ordered_json last = last_metrics(RunFile(facts.paths.metrics, run)), params = field_at(facts.pipeline, "run");
  const ordered_json steps = number_at(facts.result, "steps"), step = number_at(last, "step");
  const ordered_json planned = number_at(read_json(RunFile(run / status_json_name, run)), "last_step");
  ordered_json told = told_json(facts);
  if (told.size() > most_told) told.erase(told.begin() + most_told, told.end());
  return {{"name", name},
          {"about", short_words(facts.pipeline, "about")},
          {"status", ""},
          {"step", steps.is_null() ? step : steps},
          {"last_step", planned.is_null() ? steps : planned},
          {"loss", number_at(last, "loss")},
          {"images_per_second", number_at(last, "images_per_second")},
          {"evaluations", told},
          {"seed", number_at(facts.pipeline, "seed")},
          {"device", short_words(params, "device")},
          {"error", short_words(facts.result, "error")}};
}

ordered_json RunList::list() {
  scan();
  ordered_json out = {{"runs", ordered_json::array()}, {"left_out", left_out_}};
  for (const auto& [name, run] : runs_) {
    try {
      Known& known = known_[name];
      Stamp stamp = RunList::stamp(run);
      int64_t changed = 0;
      for (size_t i = 0; i + 1 < stamp.size(); ++i) changed = std::max(changed, stamp[i].first);  // the status is written because it is asked for
      if (known.stamp != stamp) known.summary = summary(name, run), known.stamp = stamp;
      // What changes without a file: whether its process is there.
      const bool ended = stamp[3].second > 0;
      known.summary["status"] = status_of(run, ended ? read_json(RunFile(run / "result.json", run)) : ordered_json(), seconds_of(changed));
      known.summary["started"] = seconds_of(stamp[0].first);
      known.summary["changed"] = static_cast<double>(changed) * 1e-9;
      out["runs"].push_back(known.summary);
    } catch (const std::exception&) {  // removed meanwhile, or damaged
      out["runs"].push_back({{"name", name}, {"status", "damaged"}, {"evaluations", ordered_json::array()}});
    }
  }
  return out;
}

std::optional<fs::path> RunList::find(const std::string& name) {
  if (runs_.empty() || !runs_.contains(name)) scan();
  const auto found = runs_.find(name);
  return found == runs_.end() ? std::nullopt : std::optional(found->second);
}

std::shared_ptr<const RunFacts> RunList::facts(const fs::path& run) {
  const Stamp stamp = RunList::stamp(run);
  const auto found = std::find_if(read_.begin(), read_.end(), [&](const Read& read) { return read.run == run; });
  if (found != read_.end()) {
    const bool ended = stamp[3].second > 0;
    if (found->stamp == stamp || (!ended && now() < found->at + as_slow * found->took)) {
      read_.splice(read_.begin(), read_, found);
      return read_.front().facts;
    }
    read_.erase(found);
  }
  const double began = now();
  auto facts = std::make_shared<RunFacts>(run);
  facts->bad.clear();  // the page only counts them
  const auto size = [](const Stamp& of) {
    return of[0].second + of[2].second + of[3].second + of[4].second;
  };  // without metrics, which become curves
  read_.push_front({run, stamp, now(), now() - began, facts});
  int64_t kept = 0;
  for (const Read& read : read_) kept += size(read.stamp);
  for (; read_.size() > 1 && (read_.size() > most_facts || kept > most_kept); read_.pop_back()) kept -= size(read_.back().stamp);
  return facts;
}

}  // namespace flowrun::app
