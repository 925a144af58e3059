// An encoder's weights for timm.
#pragma once

#include <cstdint>
#include <string>

namespace flowrun::app {

struct ExportArgs {
  std::string from, to;
  std::string model;  // of a checkpoint's; empty: the teacher, else the student
  int64_t heads = 0;  // 0: from the width
  bool allow_partial = false;
  bool json = false;
};

/// Writes the encoder of a file of weights in any known layout, a checkpoint or a run directory for timm.
int export_weights(const ExportArgs& args);

}  // namespace flowrun::app
