// Facts of a set of pictures: their number, classes, sizes, formats and values.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace flowrun::app {

/// Facts that a source tells of its data, and that some of its pictures show.
struct DataFacts {
  std::string place;  // where the source says that they lie
  uint64_t pictures = 0;
  std::vector<std::string> classes;             // by label; empty: there are no labels
  uint64_t smallest_class = 0, unlabelled = 0;  // pictures
  std::vector<std::string> remarks;             // warnings of the source

  uint64_t looked_at = 0, read = 0;      // pictures, spread over all
  std::map<std::string, int> formats;    // of those read
  int short_side = 0;                    // pixels, the median
  int least_side = 0, largest_side = 0;  // of the short sides
  int turned = 0;                        // have an EXIF orientation other than 1
  bool gray = false;                     // all have equal channels
  int deep = 0;                          // have more than 8 bits a sample
  std::pair<double, double> range;       // of those: the smallest and the largest value
  std::array<double, 3> mean{}, std{};   // by channel, of pixels in 0 to 1
  double file_bytes = 0;                 // on average
  std::vector<std::string> broken;       // "FILE: why", of those that could not be read
};

/// "JPEG, PNG", "120 to 500 pixels, median 375" and the like: for the file's head and the lines of the command.
std::string formats_text(const DataFacts& facts);
std::string sides_text(const DataFacts& facts);

/// Opens the source and decodes up to `count` of its pictures, spread evenly. `source` is a source node of a pipeline. Throws PipelineError
/// when it can't be opened, holds nothing, or none of those pictures can be read.
DataFacts look_at(const nlohmann::ordered_json& source, uint64_t count);

}  // namespace flowrun::app
