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
  uint64_t size = 0;  // bytes; 0 if it can't be examined: reading it will report why
};

struct ImageFolder {
  std::filesystem::path root;
  std::vector<std::string> classes;  // names of the class folders; empty in a flat folder
  std::vector<ImageFile> files;      // sorted by class, then by path; by path alone where some have no class
  // Facts for callers that read labels.
  std::vector<std::string> strays;            // pictures beside the class folders, which have no class
  std::string around;                         // the only folder in the root, which holds the class folders; empty: they are in the root
  std::vector<std::string> nested;            // folders with pictures in the only class folder, which itself has none
  std::map<std::string, std::string> shared;  // a folder that is reached from two class folders, and their names
  // Files that were skipped.
  std::map<std::string, uint64_t> passed_over;  // files by extension (".bmp", in lower case; "" has none)
  std::string first_passed_over;                // path of one, preferably of a picture in a format that is not read
  std::vector<std::string> tool_folders;        // of programs, not of pictures: __MACOSX, @eaDir, …
};

// Whether a folder was made by a program beside the data (__MACOSX, @eaDir, lost+found, names that begin with a dot).
bool is_tool_folder(const std::string& name);

// Lists the pictures (is_image_name) of a folder of class folders, each searched with all below it, as torchvision's ImageFolder
// does. Where the root holds a single folder, which has no picture of its own but two or more folders with pictures, these are the
// classes. Class folders without a picture, and folders that programs made, are not classes. If no folder holds a picture the
// folder is flat: no classes, label -1. Names that begin with a dot are skipped; links are followed, each folder once in a class.
// Sorted by bytes, so the order is the same on every machine. Throws Error when the folder is missing (naming what is there
// instead), not a folder, unreadable anywhere, or without images.
ImageFolder list_image_folder(const std::filesystem::path& path);

}  // namespace flowrun::io
