#include <memory>

#include "graph/node.h"
#include "io/folders/class_names.h"
#include "io/shards/shard_reader.h"
#include "nodes/lib/host/source/folder_remarks.h"
#include "nodes/lib/host/source/selection.h"
#include "nodes/lib/host/types/host_types.h"
#include "nodes/lib/host/types/text_types.h"

namespace flowrun {
namespace {

struct Shards {
  static constexpr NodeInfo info{
      .type = "source.shards",
      .brief = "Images in tar shards (WebDataset), plain or compressed by zstd, with the index that flowrun index or flowrun pack wrote.",
      .scope = Scope::source,
      .details =
          "The index says where each image lies, so any of them is read at any time: the order of an epoch is the same keyed permutation as "
          "for a folder, over all shards, without a shuffle buffer. Samples are numbered by shard, then by place; a packed folder has the "
          "numbers it had as a folder, so under the same node name both give the same ledger. Shards that are missing, cut short or not those "
          "that were indexed are refused before anything runs, and so are images without a caption, where captions are read. list, per_class, part, "
          "limit and ranges narrow the samples down, in this order."};
  struct Ports {
    Out<Bytes> bytes{"bytes", "The image file as it lies in the shard."};
    Out<Label> label{"label", "Index of the class: from .cls, .json or folder, as the index says; -1 where there is none."};
    Out<Caption> caption{"caption", "The text of .txt beside the image."};
    void describe(auto& port) { port(bytes, label, caption); }
  };
  struct Params {
    std::string path;
    bool verify = true;
    source::Selection selection;
    void describe(auto& param) {
      param.movable().required("path", path,
                               "Folder of the shards and their index.flowrun, or the index file; relative to where the program is started.");
      param("verify", verify, "Compares each image's hash with the index, some microseconds each; a change is an error.");
      selection.describe(param);
    }
  };
  Params params;

  void open(const OpenContext& context) {
    shards_ = std::make_unique<io::ShardReader>(params.path);
    const io::ShardIndex& index = shards_->index();
    source::Candidates all{.without_labels = "the index of " + params.path + " has none"};
    std::vector<std::string> texts;
    for (const io::ShardSample& sample : index.samples) {
      all.names.push_back(index.name(sample)), all.labels.push_back(sample.label);
      if (index.classes.empty()) texts.push_back(std::to_string(sample.label));
    }
    all.classes = index.classes, all.numbers = index.numbers();
    if (index.classes.empty() && index.class_count() > 0) {  // numbers alone, in an older index possibly those of a data base
      io::ClassNames named = io::name_classes(texts);
      all.labels.assign(named.labels.begin(), named.labels.end()), all.classes = std::move(named.classes);
    }
    source::Chosen chosen = params.selection.choose(std::move(all));
    chosen_ = std::move(chosen.samples), labels_ = std::move(chosen.labels);
    data_ = {.place = params.path, .classes = std::move(chosen.classes), .labels = {}, .numbers = chosen.numbers};
    if (!data_.classes.empty()) data_.labels = labels_;
    reads_captions_ = context.read_ports != nullptr && context.reads("caption");
    if (reads_captions_) require_captions();
    for (const size_t i : chosen_) {
      const io::ShardSample& sample = index.samples[i];
      const std::string caption = reads_captions_ ? " " + std::to_string(index.captions[i].hash) : "";
      data_.add(std::string(index.name(sample)) + std::to_string(sample.hash) + caption, sample.size);
    }
    if (context.reads("label") && data_.classes.size() == 1) {
      data_.remarks.push_back(source::one_class_remark(params.path, data_.classes[0]));
    }
  }
  uint64_t size() const { return chosen_.size(); }
  std::string key(uint64_t sample) const { return shards_->key(chosen_[sample]); }
  void prefetch(uint64_t sample) const { shards_->prefetch(chosen_[sample]); }

  SourceData data() const { return data_; }
  void map_labels(const std::vector<int64_t>& labels) {
    for (int& label : labels_) {
      if (label >= 0) label = static_cast<int>(labels[static_cast<size_t>(label)]);
    }
  }

  void run(Ports& port, const SampleContext& context) const {
    shards_->read(chosen_[context.sample], params.verify, port.bytes->data);
    port.label->value = labels_[context.sample];
    if (!reads_captions_) return;
    thread_local std::vector<uint8_t> text;
    shards_->read_caption(chosen_[context.sample], params.verify, text);
    port.caption->texts = {std::string(text.begin(), text.end())};
  }

 private:
  void require_captions() const {
    const io::ShardIndex& index = shards_->index();
    size_t missing = 0, first = 0;
    for (const size_t i : chosen_) {
      if ((index.captions.empty() || index.captions[i].size == 0) && missing++ == 0) first = i;
    }
    if (missing == 0) return;
    throw NodeError("captions are read, but " + std::to_string(missing) + " of " + std::to_string(chosen_.size()) +
                    " images have no .txt beside them of up to 64 KiB, the first " + shards_->key(first) +
                    ": put it there and run flowrun index, or name the others in list");
  }

  bool reads_captions_ = false;
  std::unique_ptr<const io::ShardReader> shards_;
  std::vector<size_t> chosen_;
  std::vector<int> labels_;
  SourceData data_;
};

FLOWRUN_NODE(Shards);

}  // namespace
}  // namespace flowrun
