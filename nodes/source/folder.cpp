#include "graph/node.h"
#include "io/file.h"
#include "io/image_folder.h"
#include "nodes/host.h"
#include "nodes/source/selection.h"

namespace flowrun {
namespace {

struct Folder {
  static constexpr NodeInfo info{
      .type = "source.folder",
      .brief = "Image files of a folder: class folders of images, or a flat folder without labels.",
      .scope = Scope::source,
      .details =
          "Files called .jpg, .jpeg, .png or .webp, in any case, are listed once, sorted by bytes, so a sample's index is the same on every machine. "
          "Class folders are searched with all "
          "below them; the label is the place of the class among the sorted folder names. In training the order of an epoch is a keyed "
          "permutation of the indices; an evaluation passes in order. list, per_class, part and limit narrow the list down, in this order; "
          "their draws depend on list_seed alone, so they are the same in every run and on every machine."};
  struct Ports {
    Out<Bytes> bytes{"bytes", "The file as it is."};
    Out<Label> label{"label", "Index of the class folder, -1 in a flat folder."};
    void describe(auto& port) { port(bytes, label); }
  };
  struct Params {
    std::string path;
    source::Selection selection;
    void describe(auto& param) {
      param.required("path", path, "The folder; relative to where the program is started.");
      selection.describe(param);
    }
  };
  Params params;

  void open(const OpenContext&) {
    folder_ = io::list_image_folder(params.path);
    files_ = io::Folder(folder_.root);
    source::Candidates all{.classes = folder_.classes, .without_labels = folder_.root.string() + " holds images itself, not class folders"};
    for (const io::ImageFile& file : folder_.files) all.names.push_back(file.path), all.labels.push_back(file.label);
    std::vector<io::ImageFile> chosen;
    for (const size_t i : params.selection.choose(all)) chosen.push_back(folder_.files[i]);
    folder_.files = std::move(chosen);
  }
  uint64_t size() const { return folder_.files.size(); }
  std::string key(uint64_t sample) const { return (folder_.root / folder_.files[sample].path).string(); }

  void prefetch(uint64_t sample) const { files_.prefetch(folder_.files[sample].path); }

  void run(Ports& port, const SampleContext& context) const {
    const io::ImageFile& file = folder_.files[context.sample];
    files_.read(file.path, port.bytes->data);
    port.label->value = file.label;
  }

 private:
  io::ImageFolder folder_;
  io::Folder files_;
};

FLOWRUN_NODE(Folder);

}  // namespace
}  // namespace flowrun
