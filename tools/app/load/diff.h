// The differences of two pipelines, and the parts that stay the same.
#pragma once

#include <nlohmann/json.hpp>

#include "tools/app/load/load.h"

namespace flowrun::app {

/// {"changes": [{"path", "from", "to"}], "same_values": [NODE], "other_values": {NODE: why}, "checkpoints": {"fit": [MODEL],
/// "differ": [MODEL], "resume": whether a run of one can be resumed with the other}}. Values are those of host nodes, for
/// every sample.
nlohmann::ordered_json diff(const PipelineArgs& left, const PipelineArgs& right);

/// The "changes" alone, of two pipelines in resolved form, also of other versions or damaged ones: nothing is checked.
nlohmann::ordered_json resolved_changes(const nlohmann::ordered_json& left, const nlohmann::ordered_json& right);

}  // namespace flowrun::app
