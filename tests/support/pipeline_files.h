// A test of pipelines in files: a folder of its own, what is put there, and what loading a file of it gives.
#pragma once

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "graph/compose/pipeline.h"
#include "graph/text/error.h"
#include "support/io_files.h"

namespace flowrun::test {

class PipelineFiles : public testing::Test {
 protected:
  void put(const std::string& name, std::string_view text) { io::test::put_file(directory_ / name, text); }
  /// The pipeline as it is after composition; faults_ has the faults' text, or is empty.
  nlohmann::json load(const std::string& name, const std::vector<std::string>& sets = {}) {
    Diagnostics faults;
    const Value value = load_pipeline((directory_ / name).string(), sets, faults);
    faults_ = faults.empty() ? "" : faults.render();
    return nlohmann::json(to_json(value));
  }

  io::test::TemporaryDirectory directory_;
  std::string faults_;
};

}  // namespace flowrun::test
