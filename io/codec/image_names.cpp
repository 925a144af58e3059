#include <algorithm>
#include <array>
#include <cctype>

#include "io/codec/image_format.h"

namespace flowrun::io {

namespace {

constexpr std::array read_extensions = {"jpg", "jpeg", "jpe", "jfif", "png", "webp", "gif", "tif", "tiff"};

constexpr std::array unread_extensions = {
    "bmp",  "dib",  "ppm", "pgm",  "pbm", "pnm", "pfm",                              // as Pillow and OpenCV write them
    "heic", "heif", "hif", "avif", "jxl", "jp2", "j2k", "jpx", "jpf", "jpc",         // newer compression
    "svg",  "eps",  "ico", "icns", "psd", "tga", "pcx", "xcf", "dds", "exr", "hdr",  // drawing and rendering
    "dng",  "cr2",  "cr3", "nef",  "arw", "orf", "raf", "rw2", "raw", "dcm",         // cameras, medicine
};

// The extension without its dot, in lower case; empty for names without one, and for names like ".png".
std::string extension_of(std::string_view name) {
  const std::string_view file = name.substr(name.rfind('/') + 1);
  const size_t dot = file.rfind('.');
  if (dot == std::string_view::npos || dot == 0) return {};
  std::string extension(file.substr(dot + 1));
  for (char& c : extension) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return extension;
}

bool is_one_of(const auto& extensions, std::string_view name) {
  return std::find(extensions.begin(), extensions.end(), extension_of(name)) != extensions.end();
}

}  // namespace

bool is_image_name(std::string_view name) { return is_one_of(read_extensions, name); }

bool is_unread_image_name(std::string_view name) { return is_one_of(unread_extensions, name); }

std::string image_extensions(std::string_view before_last) {
  std::string text;
  for (size_t i = 0; i < read_extensions.size(); ++i) {
    if (i + 1 == read_extensions.size()) {
      text.append(" ").append(before_last).append(" ");
    } else if (i > 0) {
      text += ", ";
    }
    text.append(".").append(read_extensions[i]);
  }
  return text;
}

}  // namespace flowrun::io
