#include "nodes/lib/tensor/report/picture_file.h"

#include <chrono>
#include <filesystem>
#include <vector>

#include "io/codec/png.h"
#include "io/file.h"
#include "io/run/tensorboard.h"

namespace flowrun {
namespace {

/// Seconds since 1970.
double now() { return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count(); }

}  // namespace

std::optional<ParamFault> PictureFile::check() const {
  if (file.empty() || file.find('/') != std::string::npos || !file.ends_with(".png"))
    return ParamFault{"file", "file must be a name that ends in .png, without a folder"};
  return {};
}

void PictureWriter::open(const PictureFile& params, const OpenContext& context) {
  tag_ = context.name;
  if (params.tensorboard && !context.run.directory.empty()) events_ = io::shared_event_writer(context.run.directory, static_cast<int64_t>(now()));
}

void PictureWriter::write(const std::string& run, const PictureFile& params, int64_t step, const io::ImageView& picture) const {
  const std::filesystem::path path = std::filesystem::path(run) / params.file;
  io::write_png(path, picture);
  if (!events_) return;
  std::vector<uint8_t> png;
  io::read_file(path, png);
  events_->image(tag_, step, png, picture.height, picture.width, now());
}

}  // namespace flowrun
