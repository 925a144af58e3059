// The JSON Schema of sweep files.
#pragma once

#include <nlohmann/json_fwd.hpp>

namespace flowrun::app {

/// Draft 2020-12.
nlohmann::ordered_json sweep_schema();

}  // namespace flowrun::app
