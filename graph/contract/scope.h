// Where, how often and when in a step a node runs.
#pragma once

namespace flowrun {

/// Where and how often a node runs. Lower scopes feed higher ones through fold().
enum class Scope {
  source,      // per sample, first: emits it. Any thread, any order; const
  sample,      // per sample. Any thread, any order; const
  batch,       // per group of samples, on the host. Any thread, any order; const
  device,      // per group, on the device's executor, in order
  whole,       // once per step between device nodes of its groups: takes a part of each group, hands a part to each back
  step,        // per optimiser step, on the device's executor, in order; a sink is a step node without outputs
  evaluation,  // once per evaluation, after its streams have passed
};
const char* scope_name(Scope scope);

/// Level of a scope's records: 0 sample, 1 group, 2 step, 3 evaluation.
constexpr int level_of(Scope scope) {
  switch (scope) {
    case Scope::source:
    case Scope::sample:
      return 0;
    case Scope::batch:
    case Scope::device:
    case Scope::whole:
      return 1;
    case Scope::step:
      return 2;
    case Scope::evaluation:
      return 3;
  }
  return 0;
}

/// In which part of a step a step node runs: all nodes of one part end before the next part begins.
enum class Moment {
  work,    // updates, averages
  report,  // measures the step, and hands values to those that write
  write,   // writes what was reported
  save,    // saves models and nodes as they stand
};

}  // namespace flowrun
