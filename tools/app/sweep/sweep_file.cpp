#include "tools/app/sweep/sweep_file.h"

#include <algorithm>
#include <filesystem>
#include <set>

#include "graph/compose/pipeline.h"
#include "tools/app/sweep/grid.h"

namespace flowrun::app {
namespace {

namespace fs = std::filesystem;

const std::vector<std::string> sweep_keys = {"$schema", "about", "base",     "set",    "variants", "grid",
                                             "zip",     "seeds", "baseline", "decide", "goal",     "difference"};

/// Reads one sweep file; faults are collected.
class SweepReader {
 public:
  SweepReader(std::string path, const SweepArgs& args) : path_(std::move(path)), args_(args) {}

  SweepFile read() {
    sweep_ = parse_json_file(path_, {}, faults_);
    stop_on_faults();
    if (!sweep_.is(Value::Kind::object)) faults_.error(sweep_.where, "a sweep is an object with base and variants, grid, zip or seeds");
    stop_on_faults();
    for (const Member& member : sweep_.members) {
      if (std::find(sweep_keys.begin(), sweep_keys.end(), member.key) != sweep_keys.end()) continue;
      faults_.error(member.key_where, "unknown key \"" + member.key + "\"", did_you_mean(member.key, sweep_keys) + "a sweep has " + join(sweep_keys));
    }
    plan_.path = path_;
    plan_.name = fs::path(path_).stem().string();
    read_seeds();
    read_answer();
    if (const Value* set = sweep_.find("set")) common_ = sets_of(*set, "set", faults_);
    of_file_ = common_.size();
    common_.insert(common_.end(), args_.sets.begin(), args_.sets.end());
    read_groups();
    stop_on_faults();
    return {std::move(plan_), std::move(groups_)};
  }

 private:
  void stop_on_faults() const {
    if (!faults_.empty()) throw PipelineError(faults_.render());
  }
  std::string beside(const Value& file) { return pipeline_file(file.string, fs::path(path_).parent_path(), file.where, faults_).string(); }

  void read_seeds() {
    const Value* const seeds = sweep_.find("seeds");
    if (seeds == nullptr) return;
    const char* const forms = "such as 3 (the seeds 0, 1, 2) or [0, 1, 5]";
    if (seeds->is(Value::Kind::integer) && seeds->integer >= 1 && seeds->integer <= static_cast<int64_t>(most_runs)) {
      for (int64_t s = 0; s < seeds->integer; ++s) plan_.seeds.push_back(s);
      return;
    }
    if (!seeds->is(Value::Kind::array) || seeds->items.empty()) {
      faults_.error(seeds->where, "seeds must be a count of at least 1, or a list of seeds", forms);
      return;
    }
    for (const Value& seed : seeds->items) {
      const bool twice = std::find(plan_.seeds.begin(), plan_.seeds.end(), seed.integer) != plan_.seeds.end();
      if (!seed.is(Value::Kind::integer) || seed.integer < 0) {
        faults_.error(seed.where, "a seed is an integer of at least 0", forms);
      } else if (twice) {
        faults_.error(seed.where, "the seed " + std::to_string(seed.integer) + " is listed twice: both runs would be equal");
      } else {
        plan_.seeds.push_back(seed.integer);
      }
    }
  }

  std::string word(const char* key) {
    const Value* const value = sweep_.find(key);
    if (value == nullptr) return "";
    if (!value->is(Value::Kind::string) || value->string.empty()) faults_.error(value->where, std::string(key) + " must be a string");
    return value->string;
  }

  void read_answer() {
    plan_.decide = word("decide");
    plan_.baseline = word("baseline");
    const std::string goal = word("goal");
    if (!goal.empty() && goal != "max" && goal != "min") faults_.error(sweep_.find("goal")->where, "goal is \"max\" or \"min\"");
    if (!goal.empty()) plan_.higher_better = goal == "max";
    if (const Value* difference = sweep_.find("difference")) {
      if (!difference->is_number() || difference->real <= 0)
        faults_.error(difference->where, "difference must be a number above 0: the smallest difference of the metric that matters", "such as 0.005");
      plan_.difference = difference->real;
    }
  }

  /// The variants of "variants"; one without changes if there are none.
  std::vector<SweepGroup> named_variants() {
    const Value* const variants = sweep_.find("variants");
    const Value* const base = sweep_.find("base");
    const bool has_base = base != nullptr && base->is(Value::Kind::string);
    const auto need_base = [&](const Location& where) {
      if (!has_base)
        faults_.error(base != nullptr ? base->where : where, "base must name the pipeline that the variants change", "such as \"pretrain.json\"");
      return has_base ? beside(*base) : "";
    };
    if (variants == nullptr &&
        (sweep_.find("grid") != nullptr || sweep_.find("zip") != nullptr || sweep_.find("seeds") != nullptr || !args_.seeds.empty()))
      return {{"", {.file = need_base(sweep_.where), .sets = common_}}};
    if (variants == nullptr || !variants->is(Value::Kind::object) || variants->members.empty()) {
      faults_.error(variants != nullptr ? variants->where : sweep_.where, "variants must be an object from name to changes",
                    "such as {\"one\": {\"mask.regions\": 1}}; it may be left out where there is grid, zip or seeds");
      return {};
    }
    std::vector<SweepGroup> out;
    for (const Member& member : variants->members) {
      if (!is_folder_name(member.key))
        faults_.error(member.key_where, "the name \"" + member.key + "\" of a variant becomes a folder's name: use letters, digits, - _ and . only");
      SweepGroup group{member.key, {.file = "", .sets = common_}};
      if (member.value.is(Value::Kind::string)) {
        group.pipeline.file = beside(member.value);
      } else {
        group.pipeline.file = need_base(member.key_where);
        add(group, sets_of(member.value, "variants." + member.key, faults_), member.value.where);
      }
      out.push_back(std::move(group));
    }
    return out;
  }

  /// Adds changes of one variant, which must not change what another part of the sweep varies.
  void add(SweepGroup& group, const std::vector<std::string>& sets, const Location& where) {
    for (const std::string& set : sets) {
      const std::string path = path_of(set);
      const auto given = std::find_if(args_.sets.begin(), args_.sets.end(), [&](const std::string& other) { return path_of(other) == path; });
      if (given != args_.sets.end()) faults_.error(where, "--set " + *given + " would be without effect: the sweep varies " + path);
      if (path == "seed" && has_seeds()) faults_.error(where, "seed is set by \"seeds\"", "take it out here, or leave out seeds");
      plan_.changed.insert(path);
      group.pipeline.sets.push_back(set);
    }
  }
  bool has_seeds() const { return !plan_.seeds.empty() || !args_.seeds.empty(); }

  /// Every path is varied in one place.
  void refuse_twice(const std::vector<SweepGroup>& variants, const std::vector<Point>& grid, const std::vector<Point>& zip) {
    std::set<std::string> varied;
    const auto paths = [](const std::vector<std::string>& sets) {
      std::set<std::string> out;
      for (const std::string& set : sets) out.insert(path_of(set));
      return out;
    };
    for (const SweepGroup& group : variants) {
      std::vector<std::string> own = group.pipeline.sets;  // without --set, of which add() speaks
      own.erase(own.begin() + static_cast<std::ptrdiff_t>(of_file_), own.begin() + static_cast<std::ptrdiff_t>(common_.size()));
      varied.merge(paths(own));
    }
    for (const auto& [key, points] : {std::pair("grid", &grid), std::pair("zip", &zip)}) {
      if (points->empty()) continue;
      for (const std::string& path : paths(points->front().sets)) {
        if (!varied.insert(path).second)
          faults_.error(sweep_.find(key)->where, std::string(key) + " varies " + path + ", which the sweep sets in another place, too",
                        "name it once");
      }
    }
  }

  void read_groups() {
    const std::vector<SweepGroup> variants = named_variants();
    const Value* const grid_value = sweep_.find("grid");
    const Value* const zip_value = sweep_.find("zip");
    const std::vector<Point> grid = grid_value != nullptr ? grid_points(*grid_value, faults_) : std::vector<Point>{{}};
    const std::vector<Point> zip = zip_value != nullptr ? zip_points(*zip_value, faults_) : std::vector<Point>{{}};
    if (!faults_.empty()) return;
    refuse_twice(variants, grid, zip);
    if (variants.size() * grid.size() * zip.size() > most_runs)
      faults_.error(sweep_.where, "the sweep has more than " + std::to_string(most_runs) + " variants");
    if (!faults_.empty()) return;
    std::set<std::string> names;
    for (const SweepGroup& variant : variants) {
      for (const Point& g : grid) {
        for (const Point& z : zip) {
          SweepGroup group = variant;
          std::vector<std::string> words;
          for (const std::string& part : {variant.name, g.name, z.name}) {
            if (!part.empty()) words.push_back(part);
          }
          if (words.empty()) words.push_back(folder_name(fs::path(variant.pipeline.file).stem().string()));
          if (grid_value != nullptr) add(group, g.sets, grid_value->where);
          if (zip_value != nullptr) add(group, z.sets, zip_value->where);
          group.name = join(words, "_");
          for (int n = 2; !names.insert(group.name).second; ++n) group.name = join(words, "_") + "-" + std::to_string(n);
          groups_.push_back(std::move(group));
        }
      }
    }
  }

  std::string path_;
  const SweepArgs& args_;
  Diagnostics faults_;
  Value sweep_;
  SweepPlan plan_;
  std::vector<SweepGroup> groups_;
  std::vector<std::string> common_;  // sets of all: the file's, then those of --set
  size_t of_file_ = 0;               // how many are the file's
};

}  // namespace

SweepFile read_sweep_file(const std::string& path, const SweepArgs& args) { return SweepReader(path, args).read(); }

bool is_sweep_file(const std::string& path, bool otherwise) {
  Diagnostics ignored;
  const Value file = parse_json_file(path, {}, ignored);
  const auto has = [&](const std::vector<std::string>& keys) {
    return std::any_of(keys.begin(), keys.end(), [&](const std::string& key) { return file.find(key) != nullptr; });
  };
  if (has({"nodes", "models", "extends"})) return false;
  return has({"base", "variants", "grid", "zip", "seeds"}) || otherwise;
}

}  // namespace flowrun::app
