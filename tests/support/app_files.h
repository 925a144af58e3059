// Pipelines for tests of tools/app, small enough to run in a moment.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "support/io_files.h"

namespace flowrun::test {

/// Stacks drawn images and trains nothing: 4 steps of 8 images.
inline nlohmann::ordered_json data_pipeline() {
  return nlohmann::ordered_json::parse(R"({
    "seed": 3,
    "run": { "epochs": 1, "threads": 1, "device": "cpu", "precision": "fp32", "intra_op": 1 },
    "nodes": {
      "files": { "type": "source.synthetic", "images": 32, "size": 24 },
      "decode": { "type": "image.decode", "in": "files" },
      "batch": { "type": "batch.stack", "in": "decode", "size": 8, "group": 4 },
      "metrics": { "type": "report.metrics", "in": { "image": "batch" }, "every": "1 step", "tensorboard": false }
    }
  })");
}

inline nlohmann::ordered_json json_of(const std::filesystem::path& path) { return nlohmann::ordered_json::parse(io::test::get_file(path)); }

}  // namespace flowrun::test
