// The numbers of a plan as JSON, and as text.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

namespace flowrun::tool {

/// The tables that `flowrun plan` prints.
std::string plan_text(const nlohmann::ordered_json& plan);

}  // namespace flowrun::tool
