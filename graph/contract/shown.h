// A value as people look at it again, described by its type. Included where values are shown, not by every node.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

namespace flowrun {

/// One mask over grid x grid patches: what is visible, and the regions that each patch is a target of.
struct ShownMask {
  int grid = 0;
  std::vector<bool> visible;
  std::vector<std::vector<int>> regions;
};

/// Filled in by `T::show(Shown&, place, samples)`: the part of one sample, which has `place` among the `samples` of a group
/// (0 of 1 for a value of a single sample). What doesn't apply stays empty. A copy: it outlives the value.
struct Shown {
  struct Box {
    int y, x, height, width;
  };
  /// Rectangles of the picture in a file, in its pixels.
  struct Boxes {
    std::vector<Box> boxes;
    bool oriented = false;  // as EXIF turns the picture; else as it is stored
  };
  /// `views` pictures of equal size: views H W C, bytes.
  struct Pixels {
    int height = 0, width = 0, channels = 0, views = 1;
    std::vector<uint8_t> values;
  };
  std::string text;                 // "224 x 224 x 3", "120 x 96 at y 33, x 20"
  std::optional<uint64_t> content;  // XXH3 of what it holds
  nlohmann::ordered_json details = nlohmann::ordered_json::object();
  bool empty = false;  // the run leaves it empty: nothing to show

  std::vector<uint8_t> file;  // an encoded picture
  std::optional<Boxes> boxes;
  std::optional<Pixels> pixels;
  bool is_picture = false;       // the pixels are what models see, not labels
  std::vector<ShownMask> masks;  // of each view `repeats` in a row
  int64_t repeats = 1;
};

}  // namespace flowrun
