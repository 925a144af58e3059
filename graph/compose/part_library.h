// The parts that a pipeline may use, as they were written: found by name, read from their files, checked once.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "graph/text/json.h"

namespace flowrun {

/// A part, or the pipeline itself as what holds the first parts.
struct Part {
  std::string name;              // by which it was first used
  const Value* value = nullptr;  // checked: an object with "nodes"
  const Value* parts = nullptr;  // those it names itself; null: none
  const Part* outer = nullptr;   // of a part that is written within another or a pipeline: that one
  std::vector<std::string> in;   // its input ports
  std::vector<std::string> let;  // its parameters
  bool sound = false;
  Value owned;  // of a part with a file of its own

  /// "view takes: image, area (must be given), size = 224": for messages.
  std::string takes() const;
};

/// Faults that are told once, however often the part in which they stand is used.
class PartFaults {
 public:
  explicit PartFaults(Diagnostics& faults) : faults_(faults) {}
  void error(const Location& where, const std::string& message, const std::string& hint = "");

 private:
  Diagnostics& faults_;
  std::set<std::tuple<const Source*, size_t, std::string>> told_;
};

/// Not thread-safe. What it hands out lives as long as it does.
class PartLibrary {
 public:
  /// `parts`: the "parts" of the pipeline, or null.
  PartLibrary(const Value* parts, PartFaults& faults);
  const Part& pipeline() const { return pipeline_; }

  /// The part that `use` names within `scope`; null after a fault. A file is read when it is first used: at most 1 MiB.
  const Part* find(const Value& use, const std::string& user, const Part& scope, const Location& used_at);

 private:
  const Part* open(const Member& entry, const Part& scope, const Location& used_at);
  bool read(const std::string& path, const Location& referrer, const Location& used_at, Value& out);

  PartFaults& faults_;
  Part pipeline_;
  std::map<std::string, Part> files_;            // by canonical path
  std::map<const Value*, Part> written_within_;  // by their object
};

/// The name before the first dot.
std::string head_of(const std::string& text);

/// Calls visit(string) for the strings among connections: "node", a list of such, or an object from port to one of both.
template <class V>
void each_text(V& connections, const auto& visit) {
  if (connections.is(Value::Kind::string)) return visit(connections);
  for (auto& item : connections.items) each_text(item, visit);
  for (auto& member : connections.members) each_text(member.value, visit);
}

/// The strings of a node's "in" and "after".
std::vector<const Value*> references(const Value& node);

/// The source of a part that is used at `used_at`; `file`: where it was written.
std::shared_ptr<const Source> in_use(const std::shared_ptr<const Source>& file, const Location& used_at);

}  // namespace flowrun
