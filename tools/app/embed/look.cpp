#include "tools/app/embed/look.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <stdexcept>
#include <unistd.h>

#include "graph/contract/ranks.h"
#include "graph/text/error.h"
#include "io/file.h"
#include "io/resize/resize.h"
#include "io/run/safetensors.h"
#include "nodes/lib/tensor/model/encoder.h"
#include "tools/app/embed/embed_files.h"
#include "tools/app/embed/embed_pipeline.h"
#include "tools/app/embed/embed_run.h"
#include "tools/app/embed/look_page.h"
#include "tools/app/exit.h"
#include "tools/app/load/shapes.h"
#include "tools/app/temporary_folder.h"

namespace flowrun::app {
namespace {

namespace fs = std::filesystem;
using nlohmann::ordered_json;

constexpr int64_t code_width = 32;
constexpr int thumbnail_side = 96;

std::vector<std::string> lines_of(const std::string& path) {
  std::vector<std::string> out;
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) out.push_back(line);
  return out;
}

/// Rows of a file that eval.rows wrote. `of`: the pictures that its rows are of, increasing; empty: all.
class WrittenRows {
 public:
  explicit WrittenRows(const std::string& path, std::vector<int64_t> of = {})
      : file_(fs::path(path)), entry_(file_.at("features")), of_(std::move(of)) {}

  const std::vector<int64_t>& shape() const { return entry_.shape; }
  std::span<const float> all() const { return {reinterpret_cast<const float*>(entry_.data.data()), entry_.data.size() / sizeof(float)}; }
  std::span<const float> row(int64_t picture) const {
    const size_t each = all().size() / static_cast<size_t>(shape()[0]);
    const auto row = of_.empty() ? picture : std::lower_bound(of_.begin(), of_.end(), picture) - of_.begin();
    return all().subspan(static_cast<size_t>(row) * each, each);
  }
  const int64_t* labels() const {
    const io::TensorEntry* const found = file_.find("labels");
    return found != nullptr ? reinterpret_cast<const int64_t*>(found->data.data()) : nullptr;
  }

 private:
  io::SafetensorsFile file_;
  const io::TensorEntry& entry_;
  std::vector<int64_t> of_;
};

/// Each row alone; neighbours together.
Stretches stretches_of(const std::vector<int64_t>& rows) {
  Stretches out;
  for (const int64_t row : rows) {
    if (!out.empty() && out.back().second == row) {
      ++out.back().second;
    } else {
      out.emplace_back(row, row + 1);
    }
  }
  return out;
}

class Look {
 public:
  Look(const LookArgs& args, const EncoderToUse& encoder, Caller& caller) : args_(args), encoder_(encoder), caller_(caller) {}

  /// Of one picture, before the work on all. Throws where they are no squares. Whether it was stopped.
  bool check_views() {
    CheckedPipeline pipeline = pipeline_of({0}, "first.safetensors", /*attention=*/false);
    find_shape(pipeline);
    if (run_views(pipeline, {0}, "first.safetensors", /*quiet=*/true)) return true;
    view(WrittenRows(scratch_.file("first.safetensors")), 0);
    return false;
  }

  /// Whether it was stopped.
  bool vectors() {
    EmbedArgs embedding = args_.from;
    embedding.out = scratch_.file("vectors.safetensors");
    embedding.what = encoder_.what;
    if (const Embedded done = embed(embedding, caller_); done.status != 0) return true;
    const EmbedFiles files(embedding.out);
    vectors_.emplace(embedding.out);
    keys_ = lines_of(files.keys), classes_ = lines_of(files.classes);
    const int64_t width = vectors_->shape()[1];
    for (int64_t row = 0; row < vectors_->shape()[0]; ++row) {
      const std::span<const float> values = vectors_->row(row);
      if (std::all_of(values.begin(), values.end(), [](float value) { return std::isfinite(value); })) good_.push_back(row);
    }
    if (good_.empty()) throw RunError("none of the pictures of " + args_.from.data + " has features of finite numbers: can they be decoded?");
    const auto count = std::min(args_.count, static_cast<int64_t>(good_.size()));
    for (int64_t i = 0; i < count; ++i) shown_.push_back(good_[static_cast<size_t>(i * static_cast<int64_t>(good_.size()) / count)]);
    const auto progress = caller_.progress(args_.from.quiet, "");
    near_ = nearest_rows({vectors_->all(), width}, shown_, args_.neighbours,
                         [&](int64_t done) { progress->working("neighbours found", done, static_cast<int64_t>(shown_.size()), "pictures"); });
    progress->clear();
    return false;
  }

  /// Patches, attention and views of the pictures shown; of their neighbours the views alone. Whether it was stopped.
  bool patches() {
    std::set<int64_t> near;
    for (const auto& of_picture : near_) {
      for (const Neighbour& one : of_picture) {
        if (!is_shown(one.row)) near.insert(one.row);
      }
    }
    near_rows_.assign(near.begin(), near.end());
    CheckedPipeline pipeline = pipeline_of(shown_, "views.safetensors", page_.no_attention.empty());
    if (!near_rows_.empty() && run_views(pipeline, near_rows_, "near.safetensors", args_.from.quiet)) return true;
    return run_evaluations(std::move(pipeline), args_.from, nullptr, caller_, /*again=*/true);
  }

  LookPage page() {
    const WrittenRows tokens(scratch_.file("patches.safetensors"), shown_), views(scratch_.file("views.safetensors"), shown_);
    std::optional<WrittenRows> others;
    if (!near_rows_.empty()) others.emplace(scratch_.file("near.safetensors"), near_rows_);
    page_.title = args_.from.weights, page_.said = encoder_.said, page_.data = args_.from.data;
    page_.vector = encoder_.what == "cls"    ? "the class token"
                   : encoder_.what == "mean" ? "the mean of the patches"
                                             : "the class token and the mean of the patches";
    page_.all = static_cast<int64_t>(good_.size()), page_.bad = vectors_->shape()[0] - page_.all;
    const int64_t patches = tokens.shape()[1];
    page_.grid = std::lround(std::sqrt(static_cast<double>(patches))), page_.width = tokens.shape()[2], page_.classes = !classes_.empty();
    std::vector<float> all;
    for (const int64_t row : shown_) all.insert(all.end(), tokens.row(row).begin(), tokens.row(row).end());
    const RowsView features{all, page_.width};
    try {
      page_.basis = colour_basis(features);
      page_.codes = cosine_codes(features, code_width);
    } catch (const std::invalid_argument& error) {
      throw RunError(encoder_.file + ": " + error.what() + ": has the encoder diverged?");
    }
    for (size_t n = 0; n < shown_.size(); ++n) {
      LookPicture& picture = page_.pictures.emplace_back();
      const int64_t row = shown_[n];
      picture.key = keys_[static_cast<size_t>(row)], picture.label = label(row), picture.view = view(views, row);
      picture.colours_N = feature_colours(page_.basis, features.part(static_cast<int64_t>(n) * patches, patches));
      for (const Neighbour& near : near_[n]) {
        picture.near.push_back({keys_[static_cast<size_t>(near.row)], label(near.row), !label(row).empty() && label(row) == label(near.row),
                                static_cast<double>(near.cosine), thumbnail(view(is_shown(near.row) ? views : *others, near.row))});
      }
    }
    if (page_.no_attention.empty()) add_attention(patches);
    return std::move(page_);
  }

 private:
  bool is_shown(int64_t row) const { return std::binary_search(shown_.begin(), shown_.end(), row); }

  /// The rows of these pictures go to files of them alone.
  CheckedPipeline pipeline_of(const std::vector<int64_t>& rows, const char* views, bool attention) const {
    const auto to = [&](const char* file) { return RowsToWrite{scratch_.file(file), "", {}, 0}; };
    ordered_json nodes = nodes_to_upload(args_.from, encoder_, stretches_of(rows));
    nodes["tokens"] = {{"type", "eval.tokens"}, {"in", "upload.image"}, {"model", "encoder"}};
    nodes["rows"] = rows_node(to("patches.safetensors"), {{"tokens", "tokens"}});
    nodes["rows"]["take"] = "patches";
    nodes["plain"] = {{"type", "device.upload"}, {"in", "batch.image"}, {"mean", {0, 0, 0}}, {"std", {1, 1, 1}}};
    nodes["pixels"] = {{"type", "eval.pixels"}, {"in", "plain.image"}};
    nodes["views"] = rows_node(to(views), {{"features", "pixels"}});
    if (attention) {
      nodes["attend"] = {{"type", "encode.images"}, {"in", "upload.image"}, {"model", "encoder"}, {"train", false}, {"attention", {page_.depth}}};
      nodes["attention"] = rows_node(to("attention.safetensors"), {{"attention", "attend"}});
    }
    return check_text(frozen_pipeline(args_.from, encoder_, nodes), args_.from.sets);
  }

  /// What such a pipeline, after the changes that the user asked for, makes of pictures before its encoder. Whether it was stopped.
  bool run_views(CheckedPipeline& pipeline, const std::vector<int64_t>& rows, const char* file, bool quiet) {
    ordered_json views = resolved_json(pipeline);
    for (const char* node : {"upload", "tokens", "rows", "attend", "attention"}) views["nodes"].erase(node);
    views["models"] = ordered_json::object();
    views.erase("resolved");
    views["nodes"]["pictures"]["ranges"] = flat(stretches_of(rows));
    views["nodes"]["views"]["file"] = scratch_.file(file);
    EmbedArgs args = args_.from;
    args.quiet = quiet;
    return run_evaluations(check_text(views, {}), args, nullptr, caller_, /*again=*/true);
  }

  /// What the encoder is; and why there is no attention.
  void find_shape(CheckedPipeline& pipeline) {
    const auto models =
        open_shapes(pipeline, [](const CheckedModel& model, const std::exception& error) { throw RunError(model.name + ": " + error.what()); });
    for (const auto& opened : models) {
      const auto* const encoder = dynamic_cast<const model::Encoder*>(opened.get());
      if (encoder == nullptr) continue;
      const model::EncoderShape shape = encoder->shape();
      page_.heads = shape.heads, page_.depth = shape.depth;
      if (!encoder->takes_patches()) {
        page_.no_attention = "The encoder is convolutional: it has no attention.";
      } else if (!shape.class_token) {
        page_.no_attention = "The encoder has no class token, whose attention could be shown.";
      }
    }
  }

  std::string label(int64_t row) const {
    const int64_t* const labels = vectors_->labels();
    if (labels == nullptr || labels[row] < 0 || labels[row] >= static_cast<int64_t>(classes_.size())) return "";
    return classes_[static_cast<size_t>(labels[row])];
  }

  /// Of planes of numbers from 0 to 1.
  io::PixelBuffer view(const WrittenRows& views, int64_t row) const {
    const std::span<const float> values = views.row(row);
    const size_t plane = values.size() / 3;
    const auto side = static_cast<int>(std::lround(std::sqrt(static_cast<double>(plane))));
    if (static_cast<size_t>(side) * static_cast<size_t>(side) != plane)
      throw RunError("flowrun look needs square pictures, and those that " + encoder_.file +
                     " sees are not square: add an image.center_crop after the resize");
    io::PixelBuffer out;
    out.reshape(side, side, 3);
    for (size_t i = 0; i < plane; ++i) {
      for (size_t c = 0; c < 3; ++c) out.pixels[3 * i + c] = static_cast<uint8_t>(std::lround(255 * std::clamp(values[c * plane + i], 0.0f, 1.0f)));
    }
    return out;
  }

  static io::PixelBuffer thumbnail(io::PixelBuffer view) {
    if (view.width <= thumbnail_side) return view;
    io::PixelBuffer out;
    out.reshape(thumbnail_side, thumbnail_side, 3);
    io::Resizer().resize(view.view(), thumbnail_side, thumbnail_side, io::Filter::bilinear, false, out.pixels.data());
    return out;
  }

  /// The rows of a head begin with the class token and registers.
  void add_attention(int64_t patches) {
    const WrittenRows attention(scratch_.file("attention.safetensors"), shown_);
    const int64_t tokens = attention.shape()[2];
    for (size_t n = 0; n < shown_.size(); ++n) {
      const std::span<const float> values = attention.row(shown_[n]);
      for (int64_t h = 0; h < attention.shape()[1]; ++h) {
        const std::span<const float> of_patches = values.subspan(static_cast<size_t>((h + 1) * tokens - patches), static_cast<size_t>(patches));
        page_.pictures[n].attention_HN.insert(page_.pictures[n].attention_HN.end(), of_patches.begin(), of_patches.end());
      }
    }
  }

  const LookArgs& args_;
  const EncoderToUse& encoder_;
  Caller& caller_;
  const TemporaryFolder scratch_;
  std::optional<WrittenRows> vectors_;  // of all pictures
  std::vector<std::string> keys_, classes_;
  std::vector<int64_t> good_, shown_, near_rows_;  // rows, increasing; near_rows_: neighbours that aren't shown themselves
  std::vector<std::vector<Neighbour>> near_;
  LookPage page_;
};

}  // namespace

Embedded look(const LookArgs& args, Caller& caller) {
  if (find_launch([](const char* name) { return std::getenv(name); }).world > 1) throw PipelineError("error: flowrun look runs in one process");
  if (const fs::path folder = fs::path(args.out).parent_path(); !folder.empty() && !fs::is_directory(folder)) {
    throw PipelineError("error: there is no folder " + folder.string() + " for " + args.out);
  }
  const EncoderToUse encoder = encoder_to_use(args.from);
  Look work(args, encoder, caller);
  if (work.check_views() || work.vectors() || work.patches()) {
    return {.status = exit_stopped, .facts = {{"out", args.out}, {"stopped", true}}, .lines = {"stopped; no page was written"}};
  }
  const LookPage page = work.page();
  io::write_file_atomic(args.out, look_page(page));
  Embedded out{.status = 0,
               .facts = {{"out", args.out}, {"pictures", page.pictures.size()}, {"of", page.all}, {"grid", page.grid}, {"bad", page.bad}},
               .lines = {}};
  out.lines.push_back(args.out + ": " + std::to_string(page.pictures.size()) + " of " + std::to_string(page.all) + " pictures");
  if (page.bad > 0)
    out.lines.push_back(std::to_string(page.bad) +
                        (page.bad == 1 ? " file can't be decoded, and is left out" : " files can't be decoded, and are left out"));
  return out;
}

}  // namespace flowrun::app
