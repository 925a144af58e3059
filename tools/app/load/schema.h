// The JSON Schema of pipeline files.
#pragma once

#include <nlohmann/json_fwd.hpp>

namespace flowrun::app {

/// Draft 2020-12, of all types that are registered.
nlohmann::ordered_json pipeline_schema();

}  // namespace flowrun::app
