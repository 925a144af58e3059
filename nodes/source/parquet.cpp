#include <algorithm>
#include <memory>

#include "graph/node.h"
#include "nodes/lib/host/source/folder_remarks.h"
#include "nodes/lib/host/source/picture_table.h"
#include "nodes/lib/host/source/selection.h"
#include "nodes/lib/host/types/host_types.h"
#include "nodes/lib/host/types/text_types.h"

namespace flowrun {
namespace {

struct Parquet {
  static constexpr NodeInfo info{
      .type = "source.parquet",
      .brief = "Images in Parquet files, as Hugging Face's data sets have them, on a disk or in an object store.",
      .scope = Scope::source,
      .details =
          "A row is a sample; its picture is bytes in a column. The pages of that column are found once, from the files' own indexes or from the "
          "pages' "
          "headers; reading a row then reads one page. So the order of an epoch is the same keyed permutation as for a folder, over all files, "
          "without a shuffle buffer. Rows are numbered by file, sorted by name, then by place. Columns are found by the names that data sets use; "
          "labels "
          "are numbers or names, and Hugging Face's ClassLabel names its numbers. list, per_class, part, limit and ranges narrow the samples down, "
          "in this "
          "order. Needs pyarrow beside the program (docs/data.md)."};
  struct Ports {
    Out<Bytes> bytes{"bytes", "The image file as it lies in the column."};
    Out<Label> label{"label", "Index of the class; -1 where there is none."};
    Out<Caption> caption{"caption", "The text of the row."};
    void describe(auto& port) { port(bytes, label, caption); }
  };
  struct Params {
    std::string path;
    source::PictureColumns columns;
    source::Selection selection;
    void describe(auto& param) {
      param.movable().required("path", path,
                               "A Parquet file, or a folder of such and its subfolders; or the URL of either: s3://BUCKET/FOLDER, gs://….");
      param("image", columns.image, "Column of the pictures, \"image.bytes\" for example; empty: found by its name.");
      param("label", columns.label, "Column of the labels; empty: found by its name, or there are none.");
      param("name", columns.name, "Column of names for messages and lists; empty: found by its name, or the file and its row.");
      param("caption", columns.caption, "Column of the texts; empty: found by its name.");
      selection.describe(param);
    }
  };
  Params params;

  void open(const OpenContext& context) {
    const bool reads_captions = context.read_ports != nullptr && context.reads("caption");
    table_ = std::make_unique<source::PictureTable>(params.path, params.columns, reads_captions, context.run.threads);
    source::Candidates all{.labels = table_->labels(),
                           .classes = table_->classes(),
                           .numbers = table_->numbers(),
                           .without_labels = "no column of " + params.path + " has labels",
                           .root = params.path};
    for (const std::string& name : table_->names()) all.names.push_back(name);
    source::Chosen chosen = params.selection.choose(std::move(all));
    chosen_ = std::move(chosen.samples), labels_ = std::move(chosen.labels);
    data_ = {.place = params.path, .classes = std::move(chosen.classes), .labels = {}, .numbers = chosen.numbers};
    if (!data_.classes.empty()) data_.labels = labels_;
    for (const size_t i : chosen_) data_.add(table_->names()[i] + (reads_captions ? " " + table_->captions()[i] : ""), 0);
    data_.bytes = table_->bytes();
    if (context.reads("label") && data_.classes.size() == 1) {
      data_.remarks.push_back(source::one_class_remark(params.path, data_.classes[0]));
    }
    data_.remarks.insert(data_.remarks.end(), table_->remarks().begin(), table_->remarks().end());
  }

  uint64_t size() const { return chosen_.size(); }
  std::string key(uint64_t sample) const { return table_->key(chosen_[sample]); }
  SourceData data() const { return data_; }
  void map_labels(const std::vector<int64_t>& labels) {
    for (int& label : labels_) label = label >= 0 ? static_cast<int>(labels[static_cast<size_t>(label)]) : label;
  }

  void run(Ports& port, const SampleContext& context) const {
    table_->read(chosen_[context.sample], port.bytes->data);
    port.label->value = labels_[context.sample];
    if (!table_->captions().empty()) port.caption->texts = {table_->captions()[chosen_[context.sample]]};
  }

 private:
  std::unique_ptr<source::PictureTable> table_;
  std::vector<size_t> chosen_;
  std::vector<int> labels_;
  SourceData data_;
};

FLOWRUN_NODE(Parquet);

}  // namespace
}  // namespace flowrun
