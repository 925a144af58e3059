// Any bytes as a list of pictures, as a table of captions, and as a table of colours: what is listed is there, or an Error.
#include "nodes/lib/host/source/picture_list.h"

#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <string_view>
#include <unistd.h>
#include <vector>

#include "io/error.h"
#include "io/file.h"
#include "nodes/lib/host/image/colour_table.h"
#include "nodes/lib/host/source/caption_table.h"

using namespace flowrun;

namespace {

const std::vector<std::string_view> names = {"cat/a.jpg", "cat/b c.jpg", "dog/a.jpg", "dog/d,e.png", "f.jpg"};

/// In memory, one for each process.
const std::filesystem::path& folder() {
  static const std::filesystem::path made = [] {
    const std::filesystem::path root = std::filesystem::exists("/dev/shm") ? "/dev/shm" : std::filesystem::temp_directory_path();
    const std::filesystem::path path = root / ("flowrun-fuzz-" + std::to_string(getpid()));
    std::filesystem::create_directories(path);
    std::atexit([] { std::filesystem::remove_all(folder()); });
    return path;
  }();
  return made;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text{reinterpret_cast<const char*>(data), size};
  for (const char* file : {"list.txt", "list.csv"}) {
    io::write_file_atomic(folder() / file, text);
    try {
      const source::PictureList list = source::read_picture_list(folder() / file, names, "root");
      if (list.samples.empty() || (!list.labels.empty() && list.labels.size() != list.samples.size())) std::abort();
      for (size_t i = 0; i < list.samples.size(); ++i) {
        if (list.samples[i] >= names.size() || (i > 0 && list.samples[i] <= list.samples[i - 1])) std::abort();
      }
    } catch (const io::Error&) {
    }
  }
  for (const char* file : {"table.csv", "table.tsv"}) {
    io::write_file_atomic(folder() / file, text);
    try {
      const auto captions = source::read_caption_table(folder() / file, names, "root");
      size_t count = 0;
      for (const auto& of_picture : captions) {
        for (const std::string& caption : of_picture) count += caption.empty() ? 0 : 1;
      }
      if (captions.size() != names.size() || count == 0) std::abort();
    } catch (const io::Error&) {
    }
  }
  try {
    image::ColourTable::read(folder() / "list.txt");
  } catch (const io::Error&) {
  }
  return 0;
}
