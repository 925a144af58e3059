// The classes that colours of a label map stand for. No graph knowledge.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <unordered_map>

#include "io/codec/image.h"

namespace flowrun::image {

class ColourTable {
 public:
  /// A text file with "class red green blue" a line, each 0 to 255; text after them (a name) and lines that begin with
  /// # are ignored. Throws io::Error, with file and line, on anything else, a colour that is there twice and a file
  /// without colours.
  static ColourTable read(const std::filesystem::path& path);

  /// H W 3 colours become H W 1 classes. Throws io::Error naming the first colour that the table lacks, and its place.
  void apply(const io::ImageView& colours, io::PixelBuffer& out) const;

 private:
  std::string name_;
  std::unordered_map<uint32_t, uint8_t> classes_;  // by red << 16 | green << 8 | blue
};

}  // namespace flowrun::image
