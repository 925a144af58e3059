#include "graph/node.h"
#include "io/file.h"
#include "io/image_folder.h"
#include "nodes/host.h"

namespace flowrun {
namespace {

struct Folder {
  static constexpr NodeInfo info{
      .type = "source.folder",
      .brief = "JPEG files of a folder: class folders of images, or a flat folder without labels.",
      .scope = Scope::source,
      .details =
          "Files are listed once, sorted by bytes, so a sample's index is the same on every machine. Class folders are searched with all "
          "below them; the label is the place of the class among the sorted folder names. In training the order of an epoch is a keyed "
          "permutation of the indices; an evaluation passes in order."};
  struct Ports {
    Out<Bytes> bytes{"bytes", "The file as it is."};
    Out<Label> label{"label", "Index of the class folder, -1 in a flat folder."};
    void describe(auto& port) { port(bytes, label); }
  };
  struct Params {
    std::string path;
    int64_t limit = 0;
    void describe(auto& param) {
      param.required("path", path, "The folder; relative to where the program is started.");
      param("limit", limit, not_negative, "Takes only this many samples, spread evenly over the list; 0: all.");
    }
  };
  Params params;

  void open(const OpenContext&) {
    folder_ = io::list_image_folder(params.path);
    const size_t all = folder_.files.size();
    const auto limit = static_cast<size_t>(params.limit);
    if (limit == 0 || limit >= all) return;
    std::vector<io::ImageFile> some;
    for (size_t i = 0; i < limit; ++i) some.push_back(folder_.files[i * all / limit]);
    folder_.files = std::move(some);
  }
  uint64_t size() const { return folder_.files.size(); }
  std::string key(uint64_t sample) const { return (folder_.root / folder_.files[sample].path).string(); }

  void run(Ports& port, const SampleContext& context) const {
    const io::ImageFile& file = folder_.files[context.sample];
    io::read_file(folder_.root / file.path, port.bytes->data);
    port.label->value = file.label;
  }

 private:
  io::ImageFolder folder_;
};

FLOWRUN_NODE(Folder);

}  // namespace
}  // namespace flowrun
