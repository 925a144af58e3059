// Lists of pairs of numbers as a kind of parameter.
#pragma once

#include <array>
#include <vector>

#include "graph/contract/params.h"

namespace flowrun {

/// What `ParamInfo::choices` is for lists of pairs. Other lists of numbers have none.
const Choices& pairs_mark();

/// Declares a parameter that is a list of [a, b] in a pipeline; in `value` the numbers lie one behind the other.
inline void describe_pairs(ParamVisitor& param, const char* name, std::vector<double>& value, Range range, const char* brief) {
  param.visit({.name = name, .brief = brief, .range = range, .choices = &pairs_mark()}, value);
}

}  // namespace flowrun
