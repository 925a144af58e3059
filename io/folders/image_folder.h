#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

namespace flowrun::io {

struct ImageFile {
  std::string path;   // relative to the folder
  int label = -1;     // index into classes; -1 when it has none
  uint64_t size = 0;  // bytes; 0 of what can't be examined: reading it will say why
};

struct ImageFolder {
  std::filesystem::path root;
  std::vector<std::string> classes;  // names of the class folders; empty in a flat folder
  std::vector<ImageFile> files;      // sorted by class, then by path; by path alone where some have no class
  // Remarks for readers of labels.
  std::vector<std::string> strays;            // pictures that lie beside the class folders, and so have no class
  std::string around;                         // the only folder there, around the class folders; empty: they lie in the root
  std::vector<std::string> nested;            // folders with pictures in the only class folder, which itself has none
  std::map<std::string, std::string> shared;  // a folder that is reached from two class folders, and their names
  // Members that were not taken.
  std::map<std::string, uint64_t> passed_over;  // files by extension (".bmp", in lower case; "" has none)
  std::string first_passed_over;                // path of one, of a picture that can't be read if there is such
  std::vector<std::string> tool_folders;        // of programs, not of pictures: __MACOSX, @eaDir, …
};

// Whether a folder was made by a program beside the data (__MACOSX, @eaDir, lost+found, names that begin with a dot).
bool is_tool_folder(const std::string& name);

// Lists the pictures (is_image_name) of a folder of class folders, each searched with all below it, as torchvision's
// ImageFolder does. Where the root holds a single folder, which has no picture of its own but two or more folders with
// pictures, these are the classes. Class folders without a picture, and folders that programs made, are no classes. Where no folder
// holds a picture the folder is flat: no classes, label -1. Names that begin with a dot are passed over; links are
// followed, each folder once in a class. Sorted by bytes, so the order is the same on every machine. Throws Error when
// the folder is missing (naming what is there instead), not a folder, unreadable anywhere, or without images.
ImageFolder list_image_folder(const std::filesystem::path& path);

}  // namespace flowrun::io
