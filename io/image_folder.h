#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace flowrun::io {

struct ImageFile {
  std::string path;  // relative to the folder
  int label = -1;    // index into classes; -1 when there are none
};

struct ImageFolder {
  std::filesystem::path root;
  std::vector<std::string> classes;  // sorted
  std::vector<ImageFile> files;      // sorted by class, then by path
};

// Lists the files called .jpg, .jpeg, .png or .webp, in any case, of a folder of class folders, each searched with all
// below it, as torchvision's ImageFolder does. Class folders without images are classes too. A folder that holds images itself is
// flat: no classes, label -1, its subfolders searched as well. Names that begin with a dot are passed over; links are
// followed. Sorted by bytes, so the order is the same on every machine. Throws Error when the folder is missing (naming
// what is there instead), not a folder, unreadable anywhere, or without images.
ImageFolder list_image_folder(const std::filesystem::path& path);

}  // namespace flowrun::io
