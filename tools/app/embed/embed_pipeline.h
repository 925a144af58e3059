// The pipeline that `flowrun embed` runs.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "tools/app/embed/embed_weights.h"
#include "tools/app/load/load.h"

namespace flowrun::app {

/// Stretches of rows that are still to do: first and end of each. Empty: all.
using Stretches = std::vector<std::pair<int64_t, int64_t>>;

/// As the "ranges" of nodes.
nlohmann::ordered_json flat(const Stretches& left);

/// Where rows go.
struct RowsToWrite {
  std::string file;    // .npy or .safetensors
  std::string record;  // of the rows that are done; empty: none
  Stretches left;
  int64_t rows = 0;  // of the file; 0: as many as there are pictures
};

/// Its first nodes, up to "upload" behind "batch": source of `rows` (empty: all), decoder, views, stack, upload. Throws PipelineError on data that no
/// source reads.
nlohmann::ordered_json nodes_to_upload(const EmbedArgs& args, const EncoderToUse& encoder, const Stretches& rows);
/// An eval.rows behind "batch" with these inputs beside the ids.
nlohmann::ordered_json rows_node(const RowsToWrite& rows, nlohmann::ordered_json in);
/// A pipeline of such nodes, with the encoder as model "encoder".
nlohmann::ordered_json frozen_pipeline(const EmbedArgs& args, const EncoderToUse& encoder, nlohmann::ordered_json nodes);

/// The pipeline's text as JSON: source, decoder, views, stack, upload, encoder, rows. Throws PipelineError on data that no source reads.
nlohmann::ordered_json embed_pipeline(const EmbedArgs& args, const EncoderToUse& encoder, const RowsToWrite& rows);

/// Checks it, with `sets` applied. Throws PipelineError.
CheckedPipeline check_text(const nlohmann::ordered_json& pipeline, const std::vector<std::string>& sets);

}  // namespace flowrun::app
