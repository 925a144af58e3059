#include <memory>

#include "graph/node.h"
#include "io/shard_reader.h"
#include "nodes/host.h"
#include "nodes/source/selection.h"

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
          "that were indexed are refused before anything runs. list, per_class, part and limit narrow the samples down, in this order."};
  struct Ports {
    Out<Bytes> bytes{"bytes", "The image file as it lies in the shard."};
    Out<Label> label{"label", "From .cls, .json or folder, as the index says; -1 where there is none."};
    void describe(auto& port) { port(bytes, label); }
  };
  struct Params {
    std::string path;
    bool verify = true;
    source::Selection selection;
    void describe(auto& param) {
      param.required("path", path, "Folder of the shards and their index.flowrun, or the index file; relative to where the program is started.");
      param("verify", verify, "Compares each image's hash with the index, some microseconds each; a change is an error.");
      selection.describe(param);
    }
  };
  Params params;

  void open(const OpenContext&) {
    shards_ = std::make_unique<io::ShardReader>(params.path);
    const io::ShardIndex& index = shards_->index();
    source::Candidates all{.classes = index.classes, .without_labels = "the index of " + params.path + " has none"};
    for (const io::ShardSample& sample : index.samples) all.names.push_back(index.name(sample)), all.labels.push_back(sample.label);
    chosen_ = params.selection.choose(all);
  }
  uint64_t size() const { return chosen_.size(); }
  std::string key(uint64_t sample) const { return shards_->key(chosen_[sample]); }
  void prefetch(uint64_t sample) const { shards_->prefetch(chosen_[sample]); }

  void run(Ports& port, const SampleContext& context) const {
    const size_t sample = chosen_[context.sample];
    shards_->read(sample, params.verify, port.bytes->data);
    port.label->value = shards_->index().samples[sample].label;
  }

 private:
  std::unique_ptr<const io::ShardReader> shards_;
  std::vector<size_t> chosen_;
};

FLOWRUN_NODE(Shards);

}  // namespace
}  // namespace flowrun
