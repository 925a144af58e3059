#include "nodes/lib/host/image/colour_table.h"

#include <fstream>
#include <sstream>

#include "io/error.h"

namespace flowrun::image {
namespace {

uint32_t key(int red, int green, int blue) {
  return static_cast<uint32_t>(red) << 16 | static_cast<uint32_t>(green) << 8 | static_cast<uint32_t>(blue);
}

bool is_byte(int value) { return value >= 0 && value <= 255; }

}  // namespace

ColourTable ColourTable::read(const std::filesystem::path& path) {
  std::ifstream lines(path);
  if (!lines) throw io::system_error("read the colour table", path, errno);
  ColourTable table;
  table.name_ = path.string();
  size_t number = 0;
  for (std::string line; std::getline(lines, line);) {
    ++number;
    const size_t begin = line.find_first_not_of(" \t\r");
    if (begin == std::string::npos || line[begin] == '#') continue;
    const std::string where = path.string() + ":" + std::to_string(number) + ": ";
    std::istringstream words(line);
    int index = -1, red = -1, green = -1, blue = -1;
    if (!(words >> index >> red >> green >> blue) || !is_byte(index) || !is_byte(red) || !is_byte(green) || !is_byte(blue)) {
      throw io::Error(where + "a colour table has \"class red green blue\" a line, four numbers of 0 to 255");
    }
    if (!table.classes_.emplace(key(red, green, blue), static_cast<uint8_t>(index)).second) {
      throw io::Error(where + "the colour " + std::to_string(red) + " " + std::to_string(green) + " " + std::to_string(blue) + " is there twice");
    }
  }
  if (table.classes_.empty()) throw io::Error("the colour table " + path.string() + " has no colours");
  return table;
}

void ColourTable::apply(const io::ImageView& colours, io::PixelBuffer& out) const {
  out.reshape(colours.height, colours.width, 1);
  const size_t count = out.pixels.size();
  // Neighbours mostly have one colour.
  uint32_t last = ~uint32_t{0};
  uint8_t index = 0;
  for (size_t i = 0; i < count; ++i) {
    const uint8_t* pixel = colours.pixels + 3 * i;
    const uint32_t colour = key(pixel[0], pixel[1], pixel[2]);
    if (colour != last) {
      const auto found = classes_.find(colour);
      if (found == classes_.end()) {
        const auto width = static_cast<size_t>(colours.width);
        throw io::Error("the label map has the colour " + std::to_string(pixel[0]) + " " + std::to_string(pixel[1]) + " " + std::to_string(pixel[2]) +
                        " at x " + std::to_string(i % width) + ", y " + std::to_string(i / width) + ", which " + name_ + " doesn't list");
      }
      last = colour, index = found->second;
    }
    out.pixels[i] = index;
  }
}

}  // namespace flowrun::image
