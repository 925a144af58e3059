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
    std::string list, part = "all";
    int64_t per_class = 0, list_seed = 0, limit = 0;
    double holdout = 0.1;
    void describe(auto& param) {
      param.required("path", path, "The folder; relative to where the program is started.");
      param("list", list, "Text file of the images to take, one path relative to the folder a line (low-shot lists); empty: all.");
      param("per_class", per_class, not_negative, "Draws this many images of each class; 0: all.");
      param("part", part, parts(), "all, or what is left after setting images aside, or those set aside: two sources share one folder.");
      param("holdout", holdout, Range{1e-3, 0.9}, "Share of the images that is set aside, when part is not all.");
      param("list_seed", list_seed, not_negative, "Another seed draws others.");
      param("limit", limit, not_negative, "Takes only this many samples, spread evenly over the list; 0: all.");
    }
    static const Choices& parts() {
      static const Choices choices = {"all", "kept", "held_out"};
      return choices;
    }
  };
  Params params;

  void open(const OpenContext&) {
    folder_ = io::list_image_folder(params.path);
    files_ = io::Folder(folder_.root);
    const auto seed = static_cast<uint64_t>(params.list_seed);
    if (!params.list.empty()) folder_.files = source::take_listed(folder_.files, params.list);
    if (params.per_class > 0) folder_.files = source::take_per_class(folder_, params.per_class, seed);
    if (params.part != "all") keep(source::part_indices(folder_.files.size(), params.part, params.holdout, seed));
    const size_t all = folder_.files.size();
    const auto limit = static_cast<size_t>(params.limit);
    if (limit == 0 || limit >= all) return;
    std::vector<size_t> some;
    for (size_t i = 0; i < limit; ++i) some.push_back(i * all / limit);
    keep(some);
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
  void keep(const std::vector<size_t>& indices) {
    std::vector<io::ImageFile> some;
    for (const size_t i : indices) some.push_back(folder_.files[i]);
    folder_.files = std::move(some);
  }

  io::ImageFolder folder_;
  io::Folder files_;
};

FLOWRUN_NODE(Folder);

}  // namespace
}  // namespace flowrun
