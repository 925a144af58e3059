// The runs below a folder, and what they are known by. Nothing is written.
#pragma once

#include <filesystem>
#include <list>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "tools/app/results/run_facts.h"

namespace flowrun::app {

/// Files are read again only where they have changed. One thread.
class RunList {
 public:
  explicit RunList(std::filesystem::path root) : root_(std::move(root)) {}

  /// {"runs": [summary, see summary()], "left_out": whether there are more than are listed}. Looks at the folder again.
  nlohmann::ordered_json list();

  /// The directory of a run, by its name: its path from the root; "." is the root. Empty: there is none. A name is looked up among the runs
  /// that were found; it never becomes a path.
  std::optional<std::filesystem::path> find(const std::string& name);

  /// Everything that a run's files say; of the runs asked for last it is kept. That of a run that goes on may lag behind by ten
  /// times what it takes to read it. Throws RunError when the folder holds no run any more.
  std::shared_ptr<const RunFacts> facts(const std::filesystem::path& run);

 private:
  using Stamp = std::vector<std::pair<int64_t, int64_t>>;  // time and size of the files that a run changes
  struct Known {
    Stamp stamp;
    nlohmann::ordered_json summary;
  };
  struct Read {
    std::filesystem::path run;
    Stamp stamp;
    double at = 0, took = 0;  // seconds
    std::shared_ptr<const RunFacts> facts;
  };
  void scan();
  void scan(const std::filesystem::path& folder, int depth);
  static Stamp stamp(const std::filesystem::path& run);
  static nlohmann::ordered_json summary(const std::string& name, const std::filesystem::path& run);

  std::filesystem::path root_;
  std::map<std::string, std::filesystem::path> runs_;
  std::map<std::string, Known> known_;
  std::list<Read> read_;  // the newest first
  int64_t folders_ = 0;   // looked into
  bool left_out_ = false;
};

/// Whether a process of this machine writes into the run; with `ask` it is asked for its status, as `flowrun top` does, which it
/// writes into status.json soon.
bool is_live(const std::filesystem::path& run, bool ask);

/// Evaluations as the page shows them: {"node", "value", "share", "start", "last", "best", "best_step", "pixels"}.
nlohmann::ordered_json told_json(const RunFacts& facts);

/// Whether a page may load a file of this name from a run's directory: a picture, or report.html.
bool is_served(const std::string& name);

}  // namespace flowrun::app
