// "$name" and "${name}" in the values of a pipeline.
#pragma once

#include "graph/text/json.h"

namespace flowrun {

/// Replaces "$name" (a whole string: any value) and "${name}" (inside a string: text) by values of `let`; "$$" is one
/// dollar. `visited` counts values over all substitutions of a pipeline and bounds them: values that hold each other
/// several times grow without end. Not thread-safe.
class Substitution {
 public:
  /// `let`: an object, or null. It and `visited` must outlive the substitution.
  Substitution(const Value* let, size_t& visited, Diagnostics& faults) : let_(let), visited_(visited), faults_(faults) {}

  /// Changes `value` and all it holds. A name that stands for nothing, or for itself, is a fault.
  void apply(Value& value) { apply(value, 0); }

 private:
  void apply(Value& value, int depth);
  const Value* lookup(const std::string& name, const Location& where, int depth);
  void interpolate(Value& value, int depth);

  const Value* let_;
  size_t& visited_;
  Diagnostics& faults_;
  bool stopped_ = false;
};

/// Doubles the dollars of all strings: a substitution then leaves the value as it is.
void protect_dollars(Value& value);

/// Makes `source` the one in which the value and all that it holds stand.
void move_into(Value& value, const std::shared_ptr<const Source>& source);

/// Whether a string in `value` names `name` as a let.
bool names_let(const Value& value, const std::string& name);

}  // namespace flowrun
