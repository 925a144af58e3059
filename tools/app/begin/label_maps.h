// Folders of pictures with a label map beside each.
#pragma once

#include <optional>
#include <string>
#include <vector>

namespace flowrun::app {

/// images/a.jpg and labels/a.png, in folders with the names that data sets give them.
struct LabelMaps {
  std::string images, labels;  // folders
  bool usable = false;         // every picture has a map of classes
  bool is_mask = false;        // the maps hold 0 and 255 alone
};

/// The two folders in `folder`; none if it isn't laid out so. Reads a few maps. What makes them unusable is added to `remarks`.
std::optional<LabelMaps> find_label_maps(const std::string& folder, std::vector<std::string>& remarks);

}  // namespace flowrun::app
