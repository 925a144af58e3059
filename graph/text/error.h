// Faults in the user's files and arguments, with their place; and errors of a run, with their node and sample.
#pragma once

#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace flowrun {

struct Location;

/// A text that can be pointed into: a pipeline file, or the argument of a --set. Each use of a part is a source of its own,
/// with the text of the part's file.
struct Source {
  std::string name;                                   // as the user gave it
  std::string text;                                   // of a part in use: that of `file`
  std::shared_ptr<const Source> file = nullptr;       // of a part in use
  std::shared_ptr<const Location> used_at = nullptr;  // the node that uses it; may itself stand in a part
};

/// A span of a source; without one, the fault has no place (for example: a file is missing).
struct Location {
  std::shared_ptr<const Source> source;
  size_t offset = 0;
  size_t length = 1;
};

/// Where a location begins in its source, both from 1; the column in bytes.
struct LineColumn {
  size_t line, column;
};
LineColumn line_and_column(const Location& where);

/// Where a part is used, if the location is in one: from the inside out.
std::vector<Location> uses_of(const Location& where);

/// Faults are collected, so that one run shows them all. Not thread-safe.
class Diagnostics {
 public:
  struct Fault {
    Location where;
    std::string message;
    std::string hint;
  };

  /// `hint` is one or more lines that say how to fix it ("did you mean …").
  void error(const Location& where, std::string message, std::string hint = "");
  bool empty() const { return faults_.empty(); }
  size_t count() const { return faults_.size(); }
  /// `file:line:column: error: message`, the line, a caret under the span, the hint, where a part is used; then the count.
  std::string render() const;
  /// Sorted by file, in the order in which files were first met, then by place in the file.
  std::vector<Fault> sorted() const;

 private:
  std::vector<Fault> faults_;
};

/// The pipeline is wrong; nothing was run. what() is the rendered list. Exit status 2.
struct PipelineError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// Thrown by a node: the message says what is wrong with its input, and the fix where there is one. The engine adds
/// node, epoch, sample and file. In `sample` scope it concerns the sample alone, which may be replaced (run.max_bad).
struct NodeError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// The same, but it ends the run, whatever run.max_bad says.
struct FatalNodeError : NodeError {
  using NodeError::NodeError;
};

/// The run failed at a node; what() is complete. Exit status 1.
struct RunError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// The candidate nearest to `word` by edit distance, or empty if none is near enough.
std::string nearest(std::string_view word, const std::vector<std::string>& candidates);

/// `did you mean "x"? ` or nothing.
std::string did_you_mean(std::string_view word, const std::vector<std::string>& candidates);

/// "a, b, c"
std::string join(const std::vector<std::string>& words, std::string_view separator = ", ");

}  // namespace flowrun
