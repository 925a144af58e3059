// The files that `flowrun embed` leaves beside its rows.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "tools/app/embed/embed.h"

namespace flowrun::app {

/// Their names, which follow from the output's.
struct EmbedFiles {
  explicit EmbedFiles(const std::string& out);

  std::string out;
  std::string stem;    // of `out`
  std::string record;  // of the rows that are done, while there is work left
  std::string keys, classes, faults;
  std::string made;                      // of what the rows are; written when they are complete
  std::string rows;                      // where rows are written: `out`, or a .npy file that becomes a .parquet file
  std::string rows_labels, rows_faults;  // what the pipeline writes beside it
  bool parquet = false;
  std::vector<std::string> all() const;
};

/// Refuses an output that can't be made before anything runs. Throws PipelineError.
void check_output(const EmbedArgs& args);

/// What is known of the rows when all are there.
struct EmbedRows {
  int64_t count = 0;
  std::function<std::string(int64_t row)> key;
  std::function<std::vector<uint8_t>(int64_t row)> picture;  // the encoded file; any thread
  std::vector<std::string> classes;                          // by label; empty: there are no labels
};

/// Writes keys, classes and the list of faults, what the arguments ask for besides, and `note`; removes the record. Throws RunError.
void finish_files(const EmbedArgs& args, const EmbedFiles& files, const EmbedRows& rows, nlohmann::ordered_json note, Embedded& out);

}  // namespace flowrun::app
