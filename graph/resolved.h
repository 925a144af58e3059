// The resolved pipeline, compared.
#pragma once

#include <nlohmann/json.hpp>

namespace flowrun {

/// Of a resolved pipeline what can change a result: without `about`, plug-ins, incidental parameters and the hash;
/// keys sorted. pipeline_hash() is its hash.
nlohmann::json what_matters(const nlohmann::ordered_json& resolved);

}  // namespace flowrun
