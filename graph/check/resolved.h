// Comparison of resolved pipelines.
#pragma once

#include <nlohmann/json.hpp>

namespace flowrun {

/// The content of a resolved pipeline that can change a result: without `about`, plug-ins, incidental parameters,
/// moments of evaluations and the hash; keys sorted. pipeline_hash() is its hash. `places`: include the locations of
/// data (ParamInfo::movable).
nlohmann::json what_matters(const nlohmann::ordered_json& resolved, bool places = true);

}  // namespace flowrun
