// A recipe as a pipeline file with comments.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "tools/app/begin/data_facts.h"
#include "tools/app/begin/label_maps.h"
#include "tools/app/begin/recipe.h"

namespace flowrun::app {

/// The sources of a pipeline, as nodes: that of the data, and that of their own second part, if they have one. `maps`: label maps of both,
/// where they have any.
struct Sources {
  nlohmann::ordered_json data;
  std::optional<nlohmann::ordered_json> held_out;
  std::optional<LabelMaps> maps, held_out_maps;
};

/// Bootleg on these data. `drawn`: with drawn pictures in place of the data, as many, to ask what training costs.
std::string recipe_text(const Recipe& recipe, const DataFacts& facts, const Sources& sources, const std::string& machine, bool drawn = false);

}  // namespace flowrun::app
