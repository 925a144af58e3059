#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/isfinite.h>
#include <algorithm>
#include <cstring>
#include <filesystem>

#include "graph/node.h"
#include "nodes/lib/host/types/host_types.h"
#include "nodes/lib/tensor/ranks/ranks.h"
#include "nodes/lib/tensor/report/feature_history.h"
#include "nodes/lib/tensor/report/picture_file.h"
#include "nodes/lib/tensor/types/device_types.h"

namespace flowrun {
namespace {

struct ReportFeatures {
  static constexpr NodeInfo info{
      .type = "report.features",
      .brief = "A picture of what an encoder's patches are like, step after step: three principal components as colours.",
      .scope = Scope::evaluation,
      .details =
          "Of the first pictures of an evaluation stream. The patches go to features/step-N.safetensors (float16); the picture is drawn anew from "
          "these files each time. It has a row for each picture and a column for each step, all in one basis, that of the newest step, so that "
          "steps compare: equal colours mean similar features, and what the newest basis does not know looks gray or clipped. Percentiles 1 and "
          "99 of each component at the newest step are its darkest and brightest value. flowrun look shows more of one step."};
  struct Ports {
    In<EvalTokens> tokens{"tokens", "Of eval.tokens."};
    In<ImageBatch> image{"image", "The same pictures as the batch holds them, drawn at the left.", optional};
    void describe(auto& port) { port(tokens, image); }
  };
  struct Params {
    int64_t count = 8, columns = 10, side = 96;
    PictureFile picture{"features.png"};
    void describe(auto& param) {
      param("count", count, Range{1, 64}, "How many pictures.");
      param("columns", columns, Range{1, 64}, "Steps shown at most, evenly spread, with the first and the newest; all are kept.");
      param("side", side, Range{1, 1024}, "Of a tile, about so many pixels.");
      picture.describe(param, "Name in the run directory. Of NAME.png the patches are in features/NAME-step-N.safetensors.");
    }
    std::optional<ParamFault> check() const { return picture.check(); }
  };
  Params params;
  static std::vector<std::string> reports() { return {}; }

  void open(const OpenContext& context) {
    name_ = context.name;
    writer_.open(params.picture, context);
  }

  void fold(Ports& port, const FoldContext& context) {
    const at::NoGradGuard no_grad;
    const Tensor patches = port.tokens->patches_BND();
    if (patches.size(0) != context.images || (port.image && port.image->images != context.images)) {
      throw NodeError("there are tokens of " + std::to_string(patches.size(0)) + " pictures" +
                      (port.image ? " and " + std::to_string(port.image->images) + " images" : std::string()) + ", but " +
                      std::to_string(context.images) + " samples: pictures must have one view");
    }
    const int64_t taken = std::min(params.count - kept_, context.images);
    if (taken <= 0) return;
    kept_ += taken;
    patches_.push_back(patches.narrow(0, 0, taken).to(at::kFloat).contiguous());
    if (port.image) images_.push_back(pixels(*port.image, taken));
  }

  void run(Ports&, EvaluationContext& context) {
    const at::NoGradGuard no_grad;
    kept_ = 0;
    const Tensor patches = first(ranks::rows(context.run, patches_, "gathering patches"));
    const Tensor images = first(ranks::rows(context.run, images_, "gathering pictures"));
    if (!patches.defined() || context.run.directory.empty() || context.run.rank != 0) return;
    if (!at::isfinite(patches).all().item<bool>()) throw NodeError("features have numbers that are not finite: has the encoder diverged?");
    const auto* const value = patches.const_data_ptr<float>();
    write_features(context.run.directory, params.picture.file, name_,
                   {.step = context.step,
                    .pictures = patches.size(0),
                    .patches = patches.size(1),
                    .width = patches.size(2),
                    .values_nND = {value, value + patches.numel()}});
    draw(context, images);
    context.note("drawn", params.picture.file);
  }

 private:
  /// B H W 3, u8.
  static Tensor pixels(const ImageBatch& batch, int64_t count) {
    if (batch.channels != 3) throw NodeError("image must have three channels, not " + std::to_string(batch.channels));
    Tensor out = at::empty({count, batch.height, batch.width, 3}, at::kByte);
    std::memcpy(out.mutable_data_ptr(), batch.view(0).pixels, out.nbytes());
    return out;
  }
  /// Of all ranks, in the host's memory.
  Tensor first(const Tensor& rows) const {
    return rows.defined() ? rows.narrow(0, 0, std::min(params.count, rows.size(0))).to(at::kCPU).contiguous() : rows;
  }

  void draw(const EvaluationContext& context, const Tensor& images) const {
    const std::filesystem::path run(context.run.directory);
    std::vector<io::PixelBuffer> pictures;
    for (int64_t i = 0; images.defined() && i < images.size(0); ++i) {
      io::PixelBuffer& picture = pictures.emplace_back();
      picture.reshape(static_cast<int>(images.size(1)), static_cast<int>(images.size(2)), 3);
      std::memcpy(picture.pixels.data(), images[i].const_data_ptr(), picture.pixels.size());
    }
    std::vector<FeatureStep> steps;
    for (const FeatureFile& file : spread(feature_files(run, params.picture.file), params.columns)) steps.push_back(read_features(file));
    const io::PixelBuffer sheet = feature_sheet(pictures, steps, static_cast<int>(params.side));
    writer_.write(context.run.directory, params.picture, context.step, sheet.view());
  }

  std::string name_;
  PictureWriter writer_;
  std::vector<Tensor> patches_, images_;  // of each group, as many as are shown
  int64_t kept_ = 0;
};

FLOWRUN_NODE(ReportFeatures);

}  // namespace
}  // namespace flowrun
