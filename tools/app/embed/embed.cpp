#include "tools/app/embed/embed.h"

#include <cstdlib>
#include <exception>
#include <filesystem>
#include <fstream>
#include <memory>
#include <optional>

#include "graph/contract/device.h"
#include "graph/contract/ranks.h"
#include "graph/text/json_text.h"
#include "io/run/row_file.h"
#include "nodes/lib/host/types/host_types.h"
#include "tools/app/embed/embed_files.h"
#include "tools/app/embed/embed_pipeline.h"
#include "tools/app/embed/embed_run.h"
#include "tools/app/exit.h"
#include "tools/app/json_files.h"
#include "tools/app/results/hex.h"

namespace flowrun::app {
namespace {

namespace fs = std::filesystem;
using nlohmann::ordered_json;

/// Of all bytes of a file.
uint64_t hash_of_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::vector<char> part(1 << 24);
  uint64_t hash = 0;
  while (file.read(part.data(), static_cast<std::streamsize>(part.size())), file.gcount() > 0) {
    hash = hash_bytes(part.data(), static_cast<size_t>(file.gcount()), hash);
  }
  return hash;
}

/// The pipeline's source, opened alone: what there is to do is known before the encoder is read.
class Pictures {
 public:
  Pictures(CheckedPipeline pipeline, bool labels) : pipeline_(std::move(pipeline)) {
    for (CheckedNode& node : pipeline_.nodes) {
      if (node.scope() == Scope::source) source_ = &node;
    }
    std::vector<std::string> read = {"bytes"};
    if (labels) read.emplace_back("label");
    try {
      source_->node->open({run_, source_->name, source_->stream, &read});
      data_ = source_->node->data();
    } catch (const std::exception& error) {
      throw PipelineError("error: " + source_->name + ": " + error.what());
    }
    if (data_.count == 0) throw PipelineError("error: " + data_.place + " holds no pictures");
    if (!labels) data_.classes.clear();
  }

  const SourceData& data() const { return data_; }
  /// The encoded file. Any thread.
  std::vector<uint8_t> read(int64_t row) const {
    std::vector<void*> objects;
    std::vector<PortSlot> slots;
    for (const PortDoc& port : source_->ports) slots.push_back({static_cast<int>(objects.size())}), objects.push_back(port.type->make());
    const auto sample = static_cast<uint64_t>(row);
    const SampleContext context{
        .seed = 0, .stream = source_->stream, .epoch = 0, .sample = sample, .position = sample, .ledger = LedgerEntry(nullptr)};
    std::vector<uint8_t> out;
    std::exception_ptr failure;
    try {
      const Node& node = *source_->node;
      node.run(Call{objects.data(), nullptr, slots.data()}, context);
    } catch (...) {
      failure = std::current_exception();
    }
    for (size_t i = 0; i < objects.size(); ++i) {
      if (source_->ports[i].name == "bytes") out = std::move(static_cast<Bytes*>(objects[i])->data);
      source_->ports[i].type->destroy(objects[i]);
    }
    if (failure) std::rethrow_exception(failure);
    return out;
  }
  std::string key(int64_t row) const { return source_->node->key(static_cast<uint64_t>(row)); }

 private:
  RunInfo run_;
  CheckedPipeline pipeline_;
  CheckedNode* source_ = nullptr;
  SourceData data_;
};

/// Of all that changes a number, apart from the files themselves.
std::string options_hash(ordered_json resolved) {
  resolved["run"].erase("intra_op");  // machines differ
  for (ordered_json* const places : {&resolved["models"]["encoder"], &resolved["nodes"]["pictures"], &resolved["nodes"]["rows"]}) {
    for (const char* const place : {"file", "weights", "path", "list", "record"}) places->erase(place);
  }
  return pipeline_hash(resolved);
}

class Embedding {
 public:
  Embedding(const EmbedArgs& args, const EncoderToUse& encoder, CheckedPipeline pipeline, Ranks* ranks, Caller& caller)
      : args_(args),
        encoder_(encoder),
        ranks_(ranks),
        caller_(caller),
        files_(args.out),
        note_{{"from", encoder.file}, {"weights", hex(hash_of_file(encoder.file))}} {
    note_["options"] = options_hash(resolved_json(pipeline));
    pictures_.emplace(std::move(pipeline), !args.no_labels);
    const SourceData& data = pictures_->data();
    const uint64_t labels = hash_bytes(data.labels.data(), data.labels.size() * sizeof(int));
    note_["data"] = {{"count", data.count}, {"names", hex(data.hash)}, {"labels", hex(labels)}};
  }

  Embedded embed() {
    const auto rows = static_cast<int64_t>(pictures_->data().count);
    const Stretches left = agreed_work(rows);
    Embedded out{.status = 0, .facts = {{"out", args_.out}, {"from", encoder_.file}}, .lines = {}};
    if (!left.empty()) {
      const bool all = left.size() == 1 && left[0] == std::pair<int64_t, int64_t>{0, rows};
      if (first() && !all) caller_.say(going_on(left, rows));
      if (run(all ? Stretches() : left, rows)) return stopped(rows);
    }
    if (complete_) {
      out.facts = complete_->at("facts");
      out.lines = {args_.out + " is complete already, of the same weights, pictures and options; --again makes it anew"};
    } else if (first()) {
      finish(rows, out);
    }
    if (ranks_ != nullptr) ranks_->gather("", "the end of the work");  // what rank 0 wrote is complete
    return out;
  }

 private:
  bool first() const { return ranks_ == nullptr || ranks_->launch().rank == 0; }

  static int64_t count(const Stretches& left) {
    int64_t sum = 0;
    for (const auto& [begin, end] : left) sum += end - begin;
    return sum;
  }
  std::string going_on(const Stretches& left, int64_t rows) const {
    return args_.out + ": " + std::to_string(rows - count(left)) + " of " + std::to_string(rows) + " rows are there already";
  }

  /// Rank 0 decides.
  Stretches agreed_work(int64_t rows) {
    Stretches left;
    if (first()) left = work(rows);
    if (ranks_ == nullptr) return left;
    return nlohmann::json::parse(ranks_->gather(json_text(nlohmann::json(left)), "sharing the work")[0]).get<Stretches>();
  }

  /// The rows to do; begins or checks the record.
  Stretches work(int64_t rows) {
    if (args_.again) {
      for (const std::string& path : files_.all()) fs::remove(path);
    }
    if (!fs::exists(files_.record)) {
      if (ordered_json made = read_json(files_.made); fs::exists(files_.out) && made.contains("facts")) {
        require_same(made, files_.made);
        complete_ = std::move(made);
        return {};
      }
      for (const std::string& path : {files_.out, files_.rows}) {
        if (fs::exists(path)) throw PipelineError("error: " + path + " is there already: name another file, or replace it with --again");
      }
      // Of work that was removed in part.
      for (const std::string& path : {files_.faults, files_.rows_faults}) fs::remove(path);
      io::RowsDone::begin(files_.record, json_text(note_), rows);
    }
    const io::RowsDone record(files_.record);
    require_same(json_of(record.note()), files_.record);
    return record.missing();
  }

  void require_same(const ordered_json& began, const std::string& file) const {
    std::vector<std::string> differ;
    for (const auto& [what, text] : {std::pair{"weights", "weights"}, {"data", "pictures"}, {"options", "options"}}) {
      if (!began.is_object() || !began.contains(what) || began[what] != note_[what]) differ.emplace_back(text);
    }
    if (differ.empty()) return;
    throw PipelineError("error: " + file + " was begun with other " + join(differ) +
                        ": use the same ones, name another file, or begin again with --again");
  }

  /// Whether it was stopped.
  bool run(const Stretches& left, int64_t rows) {
    return run_evaluations(check_text(embed_pipeline(args_, encoder_, {files_.rows, files_.record, left, rows}), args_.sets), args_, ranks_, caller_);
  }

  Embedded stopped(int64_t rows) const {
    const int64_t done = rows - count(io::RowsDone(files_.record).missing());
    Embedded out{.status = exit_stopped, .facts = {{"out", args_.out}, {"rows", done}, {"stopped", true}}, .lines = {}};
    out.lines.push_back("stopped with " + std::to_string(done) + " of " + std::to_string(rows) + " rows; the same command goes on");
    return out;
  }

  void finish(int64_t rows, Embedded& out) const {
    if (const Stretches left = io::RowsDone(files_.record).missing(); !left.empty()) {
      throw RunError(std::to_string(count(left)) + " of " + std::to_string(rows) + " rows of " + files_.rows +
                     " are missing: do all ranks see the same file? The same command goes on");
    }
    const EmbedRows all{.count = rows,
                        .key = [&](int64_t row) { return pictures_->key(row); },
                        .picture = [&](int64_t row) { return pictures_->read(row); },
                        .classes = pictures_->data().classes};
    finish_files(args_, files_, all, note_, out);
  }

  const EmbedArgs& args_;
  const EncoderToUse& encoder_;
  Ranks* ranks_;
  Caller& caller_;
  EmbedFiles files_;
  ordered_json note_;
  std::optional<Pictures> pictures_;
  std::optional<ordered_json> complete_;  // what says that all is there
};

}  // namespace

Embedded embed(const EmbedArgs& args, Caller& caller) {
  if (!args.print) check_output(args);
  const EncoderToUse encoder = encoder_to_use(args);
  const EmbedFiles files(args.out);
  CheckedPipeline pipeline = check_text(embed_pipeline(args, encoder, {.file = files.rows, .record = "", .left = {}, .rows = 0}), args.sets);
  if (args.print) return {.status = 0, .facts = {{"pipeline", resolved_json(pipeline)}}, .lines = {}};
  const std::unique_ptr<Opening> opening = caller.opening(/*alone=*/true);
  Launch launch = find_launch([](const char* name) { return std::getenv(name); });
  if (launch.rank == 0) caller.say(encoder.said);
  launch.timeout = pipeline.run.rank_timeout;
  share_machine(launch.local_rank, launch.local_world);
  const std::unique_ptr<Ranks> ranks = join_ranks(launch);
  try {
    Embedding embedding(args, encoder, std::move(pipeline), ranks.get(), caller);
    opening->end();
    return embedding.embed();
  } catch (const std::exception& error) {
    if (ranks) ranks->failed(error.what());
    throw;
  }
}

}  // namespace flowrun::app
