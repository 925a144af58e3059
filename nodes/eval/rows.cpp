#include <ATen/core/grad_mode.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/isfinite.h>
#include <algorithm>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>

#include "graph/contract/planned.h"
#include "graph/node.h"
#include "io/run/row_file.h"
#include "io/run/run_directory.h"
#include "nodes/lib/host/types/faults.h"
#include "nodes/lib/host/types/sample_ids.h"
#include "nodes/lib/tensor/model/block_taps.h"
#include "nodes/lib/tensor/types/device_types.h"

namespace flowrun {
namespace {

/// Rows that are in the file, but not yet marked as done: they are marked once they are on the disk.
class Unmarked {
 public:
  explicit Unmarked(const std::string& record) : record_(record) {}
  ~Unmarked() {
    try {
      mark();
    } catch (const std::exception& error) {
      log_warning(error.what());
    }
  }
  Unmarked(const Unmarked&) = delete;
  Unmarked& operator=(const Unmarked&) = delete;

  void writes_to(std::vector<io::RowFile*> files) { files_ = std::move(files); }
  void add(int64_t first, int64_t count) { stretches_.emplace_back(first, count), rows_ += count; }
  int64_t rows() const { return rows_; }
  void mark() {
    const auto stretches = std::exchange(stretches_, {});
    rows_ = 0;
    if (stretches.empty()) return;
    for (io::RowFile* file : files_) file->sync();
    for (const auto& [first, count] : stretches) record_.mark(first, count);
  }

 private:
  io::RowsDone record_;
  std::vector<io::RowFile*> files_;
  std::vector<std::pair<int64_t, int64_t>> stretches_;
  int64_t rows_ = 0;
};

struct WriteRows {
  static constexpr NodeInfo info{
      .type = "eval.rows",
      .brief = "Writes what an encoder makes of each picture to a file: one row for each, in the order of the source.",
      .scope = Scope::evaluation,
      .details =
          "A row is written to its place as soon as its group is there, so memory does not grow with the number of pictures, and threads and ranks "
          "change no byte: each rank writes its own rows into the same file, which all must see. Labels go to FILE.labels.npy beside a .npy file, "
          "and into a .safetensors file (features, labels), where the source has classes. Rows of files that can't be decoded are NaN, and "
          "FILE.faults.jsonl lists them; FILE is the name without its extension. Reports rows, of this rank. An evaluation that comes again "
          "writes the file again. flowrun embed makes such pipelines."};
  struct Ports {
    In<Features> features{"features", "Of eval.features: a row is D.", optional};
    In<EvalTokens> tokens{"tokens", "Of eval.tokens: a row is S D, or N D of patches.", optional};
    In<BlockTaps> blocks{"blocks", "Of encode.images with blocks: those that come in lie side by side.", optional};
    In<AttentionTaps> attention{
        "attention", "Of encode.images with attention of one block: a row is H S, the class token's attention to each token in each head.", optional};
    In<SampleIds> ids{"ids", "From batch.stack."};
    In<LabelBatch> label{"label", "From batch.stack.", optional};
    In<Faults> faults{"faults", "From batch.stack.", optional};
    void describe(auto& port) { port(features, tokens, blocks, attention, ids, label, faults); }
  };
  struct Params {
    std::string file, take = "mean", dtype = "float32", record;
    std::vector<int64_t> ranges;
    int64_t rows = 0, save = 4096;
    void describe(auto& param) {
      param.movable().required("file", file, "FILE.npy or FILE.safetensors.");
      param("take", take, takes(),
            "Of blocks. mean: of the patches. cls: the class token. tokens: all, class token and registers first. patches: without these, of "
            "tokens too.");
      param("dtype", dtype, dtypes(), "Of the numbers in the file.");
      param("ranges", ranges, not_negative, "The same as the source's: its pictures are these rows of the file.");
      param("rows", rows, not_negative, "Of the file; 0: as many as the source has pictures. Needed with ranges.");
      param.incidental().movable()("record", record, "A list of done rows (io/run/row_file.h), which marks those that are on the disk; empty: none.");
      param.incidental()("save", save, positive, "With record: after how many rows the file is written through to the disk.");
    }
    std::optional<ParamFault> check() const {
      if (!file.ends_with(".npy") && !file.ends_with(".safetensors")) return ParamFault{"file", "file must end in .npy or .safetensors"};
      if (ranges.size() % 2 != 0) return ParamFault{"ranges", "ranges must be pairs"};
      if (!ranges.empty() && rows < ranges.back()) return ParamFault{"rows", "ranges go beyond rows"};
      return {};
    }
    static const Choices& takes() {
      static const Choices choices = {"mean", "cls", "tokens", "patches"};
      return choices;
    }
    static const Choices& dtypes() {
      static const Choices choices = {"float32", "float16"};
      return choices;
    }
    bool npy() const { return file.ends_with(".npy"); }
    /// The file's name without its extension.
    std::string stem() const { return file.substr(0, file.rfind('.')); }
  };
  Params params;
  static std::vector<std::string> reports() { return {"rows"}; }

  void plan(NodePlan& plan) const {
    const auto inputs = plan.in.count("features") + plan.in.count("tokens") + plan.in.count("blocks") + plan.in.count("attention");
    if (inputs != 1) plan.fault("features", "one of features, tokens, blocks and attention must be connected, not " + std::to_string(inputs));
    const Planned blocks = plan.known("blocks");
    if (params.take == "cls" && blocks.rows > 0 && blocks.class_token == 0)
      plan.fault("take", "the encoder has no class token", "take mean or tokens");
    const Planned attention = plan.known("attention");  // its parts are the heads, then the blocks
    if (attention.rows > 0 && attention.class_token == 0) plan.fault("attention", "the encoder has no class token");
    if (attention.rows > 0 && attention.parts.size() != 2) plan.fault("attention", "attention must be of one block", "name one in encode.images");
  }

  void open(const OpenContext& context) {
    const SourceData* const data = context.input("ids");
    if (data == nullptr) throw NodeError("ids must come from one source");
    rows_ = params.rows > 0 ? params.rows : static_cast<int64_t>(data->count);
    const SourceData* const labels = context.input("label");
    labels_ = labels != nullptr && labels->labels_read && !labels->classes.empty();
    if (!params.record.empty()) unmarked_.emplace(params.record);
  }

  void fold(Ports& port, const FoldContext& context) {
    const at::NoGradGuard no_grad;
    const Tensor values = on_host(port);
    const std::vector<int64_t>& ids = port.ids->values;
    const int64_t count = values.size(0);
    if (count != port.ids->rows || count != context.images) {
      throw NodeError("there are rows for " + std::to_string(count) + " images, but " + std::to_string(context.images) + " samples and " +
                      std::to_string(port.ids->rows) + " ids: pictures must have one view, and ids come from their stack");
    }
    if (labels_ && port.label->values.empty()) throw NodeError("there are no labels: connect label from the source to batch.stack");
    if (!file_) open_files(values);
    for (int64_t i = 0; i < count;) {
      const int64_t first = place(ids[static_cast<size_t>(i)]);
      int64_t next = i + 1;
      while (next < count && place(ids[static_cast<size_t>(next)]) == first + next - i) ++next;
      write(port, values, i, next - i, first);
      i = next;
    }
    written_ += count;
    if (unmarked_ && unmarked_->rows() >= params.save) unmarked_->mark();
  }

  void run(Ports&, EvaluationContext& context) {
    if (unmarked_) unmarked_->mark();
    if (infinite_ > 0)
      log_warning(params.file + ": " + std::to_string(infinite_) + " rows have numbers that are not finite: has the encoder diverged?");
    context.report("rows", static_cast<double>(written_));
    written_ = infinite_ = 0;
  }

 private:
  static Tensor of_blocks(const BlockTaps& taps, const std::string& take) {
    std::vector<Tensor> parts;
    for (const Tensor& all_BSD : taps.values_BSD) {
      const Tensor x = all_BSD.to(at::kFloat);
      const Tensor patches = x.narrow(1, taps.prefix, x.size(1) - taps.prefix);
      parts.push_back(take == "tokens" ? x : take == "patches" ? patches : take == "cls" ? x.select(1, 0) : patches.mean(1));
    }
    if (parts.empty()) throw NodeError("no blocks come in: name them in blocks of the encode.images");
    return at::cat(parts, -1);
  }

  /// Of the first token, B H S.
  static Tensor of_attention(const AttentionTaps& taps) {
    if (taps.values.size() != 1) throw NodeError("attention must be of one block: name it in attention of the encode.images");
    const Tensor query = taps.values[0].query_BHSE.narrow(2, 0, 1).to(at::kFloat), key = taps.values[0].key_BHSE.to(at::kFloat);
    return query.matmul(key.transpose(-1, -2)).div(std::sqrt(static_cast<double>(key.size(3)))).softmax(-1).squeeze(2);
  }
  Tensor made_of(const Ports& port) const {
    if (port.features) return port.features->values_BD;
    if (port.tokens) return params.take == "patches" ? port.tokens->patches_BND() : port.tokens->tokens_BSD;
    return port.attention ? of_attention(*port.attention) : of_blocks(*port.blocks, params.take);
  }

  /// The rows of a group, in the type of the file; those of faults are NaN.
  Tensor on_host(const Ports& port) {
    const Tensor made = made_of(port);
    infinite_ += made.size(0) - at::isfinite(made).flatten(1).all(1).sum().item<int64_t>();
    Tensor values = made.to(params.dtype == "float16" ? at::kHalf : at::kFloat).to(at::kCPU).contiguous();
    bool own = values.data_ptr() != made.data_ptr();
    for (int64_t i = 0; port.faults && i < values.size(0) && !port.faults->why.empty(); ++i) {
      if (port.faults->why[static_cast<size_t>(i)].empty()) continue;
      if (!std::exchange(own, true)) values = values.clone();
      values.select(0, i).fill_(std::numeric_limits<double>::quiet_NaN());
    }
    return values;
  }

  void open_files(const Tensor& like) {
    std::vector<int64_t> shape = like.sizes().vec();
    shape[0] = rows_;
    std::vector<io::RowArray> arrays = {{"features", params.dtype == "float16" ? "F16" : "F32", shape}};
    const io::RowArray labels{"labels", "I64", {rows_}};
    if (labels_ && !params.npy()) arrays.push_back(labels);
    file_.emplace(params.file, arrays);
    if (labels_ && params.npy()) beside_.emplace(params.stem() + ".labels.npy", std::vector{labels});
    if (!unmarked_) return;
    unmarked_->writes_to(beside_ ? std::vector{&*file_, &*beside_} : std::vector{&*file_});
  }

  /// `count` rows from the i-th of the group on, which are rows of the file from `first` on.
  void write(const Ports& port, const Tensor& values, int64_t i, int64_t count, int64_t first) {
    const size_t each = values.nbytes() / static_cast<size_t>(values.size(0));
    const auto* const bytes = static_cast<const std::byte*>(values.const_data_ptr()) + static_cast<size_t>(i) * each;
    file_->write(0, first, {bytes, static_cast<size_t>(count) * each});
    if (labels_) {
      const std::span<const int64_t> labels(port.label->values.data() + i, static_cast<size_t>(count));
      params.npy() ? beside_->write(0, first, std::as_bytes(labels)) : file_->write(1, first, std::as_bytes(labels));
    }
    for (int64_t at = i; port.faults && at < i + count && !port.faults->why.empty(); ++at) {
      const std::string& why = port.faults->why[static_cast<size_t>(at)];
      if (!why.empty()) io::JsonLines(params.stem() + ".faults.jsonl").append(nlohmann::ordered_json{{"row", first + at - i}, {"error", why}});
    }
    if (unmarked_) unmarked_->add(first, count);
  }

  /// The row of a sample of the source.
  int64_t place(int64_t sample) const {
    if (params.ranges.empty()) return sample;
    for (size_t i = 0; i < params.ranges.size(); i += 2) {
      const int64_t count = params.ranges[i + 1] - params.ranges[i];
      if (sample < count) return params.ranges[i] + sample;
      sample -= count;
    }
    throw NodeError("the source has more samples than ranges: give both the same");
  }

  int64_t rows_ = 0, written_ = 0, infinite_ = 0;
  bool labels_ = false;
  std::optional<io::RowFile> file_, beside_;
  std::optional<Unmarked> unmarked_;  // writes to the files until its end
};

FLOWRUN_NODE(WriteRows);

}  // namespace
}  // namespace flowrun
