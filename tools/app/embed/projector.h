// Files for TensorBoard's projector.
#pragma once

#include <cstdint>
#include <string>

#include "tools/app/embed/embed_files.h"

namespace flowrun::app {

/// Writes tensors.tsv, metadata.tsv, sprite.png (thumbnails) and projector_config.pbtxt into a folder, of float32 rows in a .npy or
/// .safetensors file; labels lie in `labels` (.npy) or in the same .safetensors file. Rows that are NaN are left out; returns how many are
/// there. So many points that a thumbnail would have under 8 pixels get none. Throws RunError and io::Error.
int64_t write_projector(const std::string& folder, const std::string& file, const std::string& labels, const EmbedRows& rows);

}  // namespace flowrun::app
