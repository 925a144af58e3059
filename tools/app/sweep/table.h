// Tables of a sweep in Markdown: of its runs, and of its variants over seeds.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "tools/app/sweep/answer.h"

namespace flowrun::app {

/// What a run found, as an object of sweep.json: variant, seed, set, run, status, steps, seconds, loss, "NODE METRIC".
nlohmann::ordered_json row_of(const Variant& run, const Found& found, const std::string& folder);

/// A row for each run.
std::string table_of_runs(const nlohmann::ordered_json& rows);

/// Over seeds: a row for each variant, and one for each comparison.
std::string table_of_variants(const Answer& answer);

/// The words below the tables, and which runs are not done.
std::string text_below(const SweepPlan& plan, const Answer& answer, const nlohmann::ordered_json& rows);

}  // namespace flowrun::app
