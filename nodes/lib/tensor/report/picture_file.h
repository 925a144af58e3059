// Shared by nodes that draw a picture into the run's folder.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "graph/contract/context.h"
#include "graph/contract/params.h"
#include "graph/node.h"
#include "io/codec/image.h"

namespace flowrun::io {
class EventWriter;
}

namespace flowrun {

/// Their last two parameters.
struct PictureFile {
  std::string file;
  bool tensorboard = true;
  void describe(auto& param, const char* brief) {
    param("file", file, brief);
    param("tensorboard", tensorboard, "Whether to put it among the event file's images too.");
  }
  std::optional<ParamFault> check() const;
};

/// Writes the PNG, and the image among TensorBoard's under the node's name.
class PictureWriter {
 public:
  /// In the node's open().
  void open(const PictureFile& params, const OpenContext& context);
  /// Any thread; one picture at a time. Throws io::Error.
  void write(const std::string& run, const PictureFile& params, int64_t step, const io::ImageView& picture) const;

 private:
  std::shared_ptr<io::EventWriter> events_;
  std::string tag_;
};

}  // namespace flowrun
