#include "graph/node.h"
#include "io/file.h"
#include "io/folders/image_folder.h"
#include "nodes/lib/host/source/caption_table.h"
#include "nodes/lib/host/source/folder_remarks.h"
#include "nodes/lib/host/source/selection.h"
#include "nodes/lib/host/types/host_types.h"
#include "nodes/lib/host/types/text_types.h"

namespace flowrun {
namespace {

struct Folder {
  static constexpr NodeInfo info{
      .type = "source.folder",
      .brief = "Image files of a folder: class folders of images, or a flat folder without labels.",
      .scope = Scope::source,
      .details =
          "Pictures are listed once, sorted by bytes, so a sample's index is the same on every machine; their extensions are those of "
          "docs/images.md, in any case. Class folders are searched recursively. A class is its folder's name, and the label its place among the "
          "sorted names, or in classes; an evaluation takes over the places of its train input. Folders without a picture, and folders that programs "
          "make (__MACOSX, @eaDir, names that begin with a dot), are not classes. Files that are passed over are counted in the log. In training the "
          "order of an epoch is a keyed permutation of the indices; an evaluation passes in order. list, per_class, part, limit and ranges narrow "
          "the list "
          "down, in this order; their draws depend on list_seed alone, so they are the same in every run and on every machine."};
  struct Ports {
    Out<Bytes> bytes{"bytes", "The file as it is."};
    Out<Label> label{"label", "Index of the class, -1 in a flat folder."};
    Out<Caption> caption{"caption", "What captions says of the picture, one text or several."};
    void describe(auto& port) { port(bytes, label, caption); }
  };
  struct Params {
    std::string path, strays = "error", captions;
    source::Selection selection;
    void describe(auto& param) {
      param.movable().required("path", path, "The folder; relative to where the program is started.");
      param("strays", strays, choices(),
            "Pictures beside class folders have no class. Where labels are read they are an error, or left out with a warning; elsewhere they are "
            "used.");
      param.movable()("captions", captions,
                      "A .csv or .tsv table of pictures and their captions, which may name a picture several times; by columns that a first line "
                      "names path and caption, else the first two. Each picture that is used needs one.");
      selection.describe(param);
    }
    static const Choices& choices() {
      static const Choices choices = {"error", "leave_out"};
      return choices;
    }
  };
  Params params;

  void open(const OpenContext& context) {
    io::ImageFolder folder = io::list_image_folder(params.path);
    files_ = io::Folder(folder.root);
    root_ = folder.root;
    source::Candidates all{.classes = folder.classes, .without_labels = root_.string() + " holds images itself, not class folders", .root = root_};
    for (const io::ImageFile& file : folder.files) all.names.push_back(file.path), all.labels.push_back(file.label);
    const std::vector<std::vector<std::string>> captions =
        params.captions.empty() ? std::vector<std::vector<std::string>>() : source::read_caption_table(params.captions, all.names, root_);
    if (captions.empty() && context.read_ports != nullptr && context.reads("caption")) {
      throw NodeError("captions are read, but no table is given: set captions to a .csv or .tsv of paths and texts");
    }
    const source::Chosen chosen = params.selection.choose(std::move(all));
    const bool labels_read = context.reads("label");
    data_ = {.place = root_.string(), .classes = chosen.classes, .labels = {}, .numbers = chosen.numbers};
    data_.remarks = source::remarks(folder, labels_read && params.selection.list.empty());
    const bool leaves_out = labels_read && !chosen.classes.empty() && params.strays == "leave_out";
    chosen_.clear(), captions_.clear();
    std::vector<std::string> strays;
    for (size_t i = 0; i < chosen.samples.size(); ++i) {
      io::ImageFile& file = folder.files[chosen.samples[i]];
      file.label = chosen.labels[i];
      if (file.label < 0 && labels_read && !chosen.classes.empty()) strays.push_back(file.path);
      if (file.label < 0 && leaves_out) continue;
      data_.add(file.path, file.size);
      if (!chosen.classes.empty()) data_.labels.push_back(file.label);
      if (!captions.empty()) add_captions(file.path, captions[chosen.samples[i]]);
      chosen_.push_back(std::move(file));
    }
    if (strays.empty()) return;
    const std::string what = strays[0] + (strays.size() > 1 ? " and " + std::to_string(strays.size() - 1) + " more pictures" : "");
    if (!leaves_out) {
      throw NodeError("labels are read, but " + what + " of " + root_.string() +
                      " have no class, since they lie beside the class folders: move them, or set strays to leave_out");
    }
    data_.remarks.push_back("left out " + what + " of " + root_.string() + ", which lie beside the class folders and have no class");
  }
  uint64_t size() const { return chosen_.size(); }
  std::string key(uint64_t sample) const { return (root_ / chosen_[sample].path).string(); }
  void prefetch(uint64_t sample) const { files_.prefetch(chosen_[sample].path); }
  SourceData data() const { return data_; }
  void map_labels(const std::vector<int64_t>& labels) {
    for (io::ImageFile& file : chosen_) {
      if (file.label >= 0) file.label = static_cast<int>(labels[static_cast<size_t>(file.label)]);
    }
  }

  void run(Ports& port, const SampleContext& context) const {
    const io::ImageFile& file = chosen_[context.sample];
    files_.read(file.path, port.bytes->data);
    port.label->value = file.label;
    if (!captions_.empty()) port.caption->texts = captions_[context.sample];
  }

 private:
  void add_captions(const std::string& picture, const std::vector<std::string>& texts) {
    if (texts.empty()) {
      throw NodeError("the table " + params.captions + " has no caption of " + picture + ": add a line, or name the other pictures in list");
    }
    captions_.push_back(texts);
    for (const std::string& text : texts) data_.hash = hash_text(text + std::to_string(data_.hash));
  }

  std::vector<std::vector<std::string>> captions_;  // of those that are used
  std::filesystem::path root_;
  io::Folder files_;
  std::vector<io::ImageFile> chosen_;
  SourceData data_;
};

FLOWRUN_NODE(Folder);

}  // namespace
}  // namespace flowrun
