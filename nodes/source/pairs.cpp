#include <filesystem>

#include "graph/node.h"
#include "io/file.h"
#include "io/folders/image_folder.h"
#include "nodes/lib/host/source/folder_remarks.h"
#include "nodes/lib/host/source/selection.h"
#include "nodes/lib/host/types/host_types.h"

namespace flowrun {
namespace {

struct Pairs {
  static constexpr NodeInfo info{
      .type = "source.pairs",
      .brief = "Image files of one folder, each with the label map of the same name in another.",
      .scope = Scope::source,
      .details =
          "The label map of a/b.jpg is a/b and the suffix. Images are listed as source.folder does; if both lie in one folder, files that end in the "
          "suffix are not images. An image without a label map is an error; a label map without an image is ignored. list, part and limit narrow the "
          "list down, in this order; the draw depends on list_seed alone."};
  struct Ports {
    Out<Bytes> bytes{"bytes", "The image file as it is."};
    Out<Bytes> labels{"labels", "The label file as it is."};
    void describe(auto& port) { port(bytes, labels); }
  };
  struct Params {
    std::string images, labels, suffix = ".png", list, part = "all";
    int64_t list_seed = 0, limit = 0;
    double holdout = 0.1;
    void describe(auto& param) {
      param.movable().required("images", images, "Folder of the images; relative to where the program is started.");
      param.movable().required("labels", labels, "Folder of the label maps, with the same subfolders.");
      param("suffix", suffix, "Ending of a label map's name, in place of the image's extension.");
      param.movable()("list", list, "File that lists the images to use, one path relative to the folder of images a line; empty: all.");
      param("part", part, source::Selection::parts(),
            "all, or what is left after setting images aside, or those set aside: two sources share one folder.");
      param("holdout", holdout, Range{1e-3, 0.9}, "Share of the images that is set aside, when part is not all.");
      param("list_seed", list_seed, any_seed, "Another seed sets others aside.");
      param("limit", limit, not_negative, "Takes only this many samples, spread evenly over the list; 0: all.");
    }
  };
  Params params;

  void open(const OpenContext&) {
    io::ImageFolder folder = io::list_image_folder(params.images);
    std::vector<io::ImageFile>& files = folder.files;
    std::error_code missing;  // is reported with the first label map
    if (std::filesystem::equivalent(params.images, params.labels, missing)) {
      std::erase_if(files, [&](const io::ImageFile& file) { return file.path.ends_with(params.suffix); });
    }
    source::Candidates all{.root = params.images};
    for (const io::ImageFile& file : files) all.names.push_back(file.path);
    const source::Selection selection{
        .list = params.list, .part = params.part, .list_seed = params.list_seed, .limit = params.limit, .holdout = params.holdout};
    images_.clear(), labels_.clear();
    data_ = {.place = params.images, .remarks = source::remarks(folder, /*labels_read=*/false)};
    std::vector<uint64_t> sizes;
    for (const size_t i : selection.choose(std::move(all)).samples) {
      const std::string& path = files[i].path;
      images_.push_back(std::filesystem::path(params.images) / path);
      labels_.push_back(std::filesystem::path(params.labels) / (path.substr(0, path.rfind('.')) + params.suffix));
      sizes.push_back(files[i].size);
    }
    check_labels();
    for (size_t i = 0; i < images_.size(); ++i) {
      data_.add(images_[i].lexically_relative(params.images).string(), sizes[i] + std::filesystem::file_size(labels_[i]));
    }
  }
  SourceData data() const { return data_; }
  uint64_t size() const { return images_.size(); }
  std::string key(uint64_t sample) const { return images_[sample].string() + " with " + labels_[sample].string(); }

  void run(Ports& port, const SampleContext& context) const {
    io::read_file(images_[context.sample], port.bytes->data);
    io::read_file(labels_[context.sample], port.labels->data);
  }

 private:
  void check_labels() const {
    size_t missing = 0, first = 0;
    for (size_t i = labels_.size(); i-- > 0;) {
      if (!std::filesystem::exists(labels_[i])) ++missing, first = i;
    }
    if (missing == 0) return;
    throw NodeError(std::to_string(missing) + " of " + std::to_string(labels_.size()) + " images have no label map, the first " +
                    images_[first].string() + ": there is no " + labels_[first].string() + "; check labels and suffix");
  }

  std::vector<std::filesystem::path> images_, labels_;
  SourceData data_;
};

FLOWRUN_NODE(Pairs);

}  // namespace
}  // namespace flowrun
