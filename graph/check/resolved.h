// The resolved pipeline, compared.
#pragma once

#include <nlohmann/json.hpp>

namespace flowrun {

/// Of a resolved pipeline what can change a result: without `about`, plug-ins, incidental parameters, moments of
/// evaluations and the hash;
/// keys sorted. pipeline_hash() is its hash.
/// `places`: with where data lie (ParamInfo::movable).
nlohmann::json what_matters(const nlohmann::ordered_json& resolved, bool places = true);

}  // namespace flowrun
