#pragma once

#include <filesystem>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>

namespace flowrun::io {

// The exception of all functions of io/. The message names the file, the reason and, if there is one, the fix.
struct Error : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// A picture that ends too early. The part that is there can be right, while a corrupt picture is wrong somewhere.
struct TruncatedError : Error {
  using Error::Error;
};

// "cannot ACTION PATH: the system's message for CODE". For a full disk, a quota or a size limit it also has the fix.
inline Error system_error(std::string_view action, const std::filesystem::path& path, int code) {
  std::string text = "cannot " + std::string(action) + " " + path.string() + ": " + std::system_category().message(code);
  switch (static_cast<std::errc>(code)) {
    case std::errc::no_space_on_device:
      text += "; free some space or write to another disk";
      break;
    case std::errc::file_too_large:
      text += "; raise the limit on file sizes (ulimit -f)";
      break;
    case std::errc::too_many_files_open:
      text += "; raise the limit on open files (ulimit -n)";
      break;
    default:
      break;
  }
  return Error(text);
}

}  // namespace flowrun::io
