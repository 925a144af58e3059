#include "tools/app/begin/recipe_text.h"

#include "graph/text/json_text.h"
#include "tools/app/text.h"

namespace flowrun::app {
namespace {

using nlohmann::ordered_json;

using Long = long long;

std::string number(double value) { return print("%.2g", value); }

/// A value as these files write it: {"a": 1, "b": [2, 3]} on one line, with a blank behind a colon.
std::string spaced(const ordered_json& value) {
  std::string out;
  if (!value.is_object()) return json_text(value);
  for (const auto& [key, inner] : value.items()) out += (out.empty() ? "" : ", ") + json_text(ordered_json(key)) + ": " + spaced(inner);
  return "{ " + out + " }";
}

std::string epochs(int64_t n) { return "\"" + std::to_string(n) + (n == 1 ? " epoch\"" : " epochs\""); }

std::string list(const std::vector<int>& values) {
  std::string out;
  for (const int value : values) out += (out.empty() ? "" : ", ") + std::to_string(value);
  return "[" + out + "]";
}

class Text {
 public:
  Text(const Recipe& recipe, const DataFacts& facts, const Sources& sources, bool drawn)
      : recipe_(recipe), facts_(facts), sources_(sources), drawn_(drawn) {}

  std::string write(const std::string& machine) {
    head(machine);
    models();
    line("  \"nodes\": {");
    training();
    if (recipe_.evaluates && !drawn_) evaluations();
    if (!drawn_) features();
    line("  }");
    line("}");
    return std::move(out_);
  }

 private:
  void line(const std::string& text) { out_ += text + "\n"; }
  void comment(const std::string& text, const std::string& indent = "    ") { line(indent + "// " + text); }
  std::string why(const std::string& of) const {
    const auto found = recipe_.why.find(of);
    return found == recipe_.why.end() ? "" : found->second;
  }

  void head(const std::string& machine) {
    line("// Written by flowrun init. The rules behind its numbers stand beside them; change what you know better.");
    line("// Data: " + facts() + ".");
    line("// Machine: " + machine + ".");
    line("{");
    line("  \"about\": " +
         json_text(
             ordered_json("Bootleg on " + facts_.place + ": a student sees a part of each picture and predicts hidden blocks of its EMA teacher")) +
         ",");
    line("  \"seed\": 0,");
    comment("epochs: " + why("epochs") + ".", "  ");
    if (!why("max_bad").empty()) comment("max_bad: " + why("max_bad") + ".", "  ");
    line(print("  \"run\": { \"epochs\": %lld", Long{recipe_.epochs}) +
         (recipe_.memory_mib != 1024 ? print(", \"memory_mib\": %lld", Long{recipe_.memory_mib}) : "") +
         (recipe_.max_bad > 0 ? print(", \"max_bad\": %lld", Long{recipe_.max_bad}) : "") + " },");
    line("  \"let\": {");
    comment("size: " + why("size") + ".");
    comment("patch: " + why("patch") + ".");
    comment(print("mean, std: of %llu pictures, by channel%s.", static_cast<unsigned long long>(facts_.read), facts_.gray ? "; they are gray" : ""));
    line(print("    \"size\": %lld, \"patch\": %lld, ", Long{recipe_.size}, Long{recipe_.patch}) + "\"blocks\": " + list(recipe_.blocks) + ",");
    line(print("    \"mean\": [%.3f, %.3f, %.3f], \"std\": [%.3f, %.3f, %.3f]", facts_.mean[0], facts_.mean[1], facts_.mean[2], spread(0), spread(1),
               spread(2)));
    line("  },");
  }

  /// A standard deviation that pictures of one colour have, too.
  double spread(size_t channel) const { return std::max(0.01, facts_.std[channel]); }

  std::string facts() const {
    std::string text = print("%llu pictures (%s) in %s, shorter side %s", static_cast<unsigned long long>(facts_.pictures),
                             formats_text(facts_).c_str(), facts_.place.c_str(), sides_text(facts_).c_str());
    if (recipe_.segments) {
      text += ", label maps";
    } else if (facts_.classes.size() > 1)
      text += print(", %zu classes", facts_.classes.size());
    return text;
  }

  void models() {
    const std::string encoder = recipe_.arch.empty() ? print("\"width\": %lld, \"depth\": %lld, \"heads\": %lld", Long{recipe_.width},
                                                             Long{recipe_.depth}, Long{recipe_.heads})
                                                     : "\"arch\": \"" + recipe_.arch + "\"";
    line("  \"models\": {");
    comment("encoder: " + why("encoder") + ".");
    line("    \"student\":   { \"type\": \"model.vit\", " + encoder + R"(, "image": "$size", "patch": "$patch", "registers": )" +
         (recipe_.arch.empty() ? "2, \"init\": \"mae\"" : "4") + " },");
    line(R"(    "teacher":   { "type": "model.ema_copy", "of": "student" },)");
    line(print(
        R"(    "predictor": { "type": "model.predictor", "encoder": "student", "blocks": "$blocks", "depth": %lld, "width": %lld, "heads": %lld%s })",
        Long{recipe_.predictor_depth}, Long{recipe_.predictor_width}, Long{recipe_.predictor_heads},
        recipe_.arch.empty() ? ", \"registers\": 2, \"init\": \"mae\"" : ""));
    line("  },");
  }

  /// A source node's text, with more parameters.
  std::string source(const ordered_json& of, const std::string& more) const {
    const std::string text = spaced(of);
    return text.substr(0, text.size() - 2) + (more.empty() ? "" : ", " + more) + " }";
  }

  std::string part(const std::string& which) const {
    return recipe_.holdout > 0 ? print(R"("part": "%s", "holdout": %.4g)", which.c_str(), recipe_.holdout) : "";
  }

  std::string decode_parameters() const {
    std::string text;
    if (facts_.deep > 0) text += print(", \"range\": [%.9g, %.9g]", facts_.range.first, facts_.range.second);
    return text + orientation();
  }
  std::string orientation() const { return facts_.turned > 0 ? R"(, "orientation": "exif")" : ""; }

  void training() {
    if (recipe_.holdout > 0) comment("holdout: " + why("holdout") + ".");
    if (drawn_) {
      line(print(R"(    "files":   { "type": "source.synthetic", "images": %lld },)", Long{recipe_.training}));
    } else {
      line("    \"files\":   " + source(sources_.data, part("kept")) + ",");
    }
    line(R"(    "crop":    { "type": "image.random_crop", "in": "files", "area": [0.35, 1])" + orientation() + " },");
    if (facts_.deep > 0) comment("range: the smallest and the largest value seen; a narrower one shows more, such as a window of a CT.");
    if (facts_.turned > 0) comment("orientation: some pictures say by EXIF how to turn them.");
    line(R"(    "decode":  { "type": "image.decode", "in": { "bytes": "files", "region": "crop" })" + decode_parameters() + " },");
    line(R"(    "view":    { "type": "image.resize", "in": { "image": "decode", "region": "crop" }, "size": "$size" },)");
    comment("Drop this where left and right differ: text, organs, traffic signs.");
    line(R"(    "flip":    { "type": "image.random_flip", "in": "view" },)");
    comment("size: " + why("batch") + ".");
    comment("group: " + why("group") + ".");
    line(print(R"(    "batch":   { "type": "batch.stack", "in": "flip", "size": %lld, "group": %lld },)", Long{recipe_.batch}, Long{recipe_.group}));
    line(R"(    "mask":    { "type": "mask.rectangles", "in": "batch", "patch": "$patch", "regions": 4 },)");
    line(R"(    "sheet":   { "type": "report.contact_sheet", "in": { "image": "batch", "mask": "mask" } },)");
    line(R"(    "upload":  { "type": "device.upload", "in": { "image": "batch", "mask": "mask" }, "mean": "$mean", "std": "$std" },)");
    line(R"(    "targets": { "type": "mim.hidden_targets", "in": "upload.*", "model": "teacher", "blocks": "$blocks" },)");
    line(R"(    "encode":  { "type": "mim.encode_visible", "in": "upload.*", "model": "student" },)");
    line(R"(    "predict": { "type": "mim.predict", "in": { "tokens": "encode", "mask": "upload.mask" }, "model": "predictor" },)");
    line(R"(    "loss":    { "type": "loss.mse", "in": { "prediction": "predict", "target": "targets" } },)");
    comment("lr: " + why("lr") + ".");
    line(R"(    "update":  { "type": "train.adamw", "in": "loss", "models": ["student", "predictor"],)");
    line("                 \"lr\": { \"start\": " + number(recipe_.lr / 20) + ", \"max\": " + number(recipe_.lr) +
         ", \"final\": " + number(recipe_.lr / 30) + R"( }, "weight_decay": 0.05 },)");
    comment("decay: " + why("decay") + ".");
    line(print(R"(    "ema":     { "type": "train.ema", "after": "update", "from": "student", "to": "teacher", "decay": %.6g },)", recipe_.decay));
    line(
        R"(    "health":  { "type": "report.health", "in": { "loss": "loss", "tokens": "encode", "prediction": "predict", "target": "targets" }, "every": "100 steps" },)");
    line(R"(    "metrics": { "type": "report.metrics", "in": "loss", "every": "20 steps" },)");
    line(R"(    "save":    { "type": "report.checkpoint", "after": "ema", "every": )" + epochs(recipe_.save_every) + ", \"keep\": 3" + best() + " }" +
         (drawn_ ? "" : ","));
  }

  /// The checkpoint that is kept for its evaluation.
  std::string best() const {
    if (!recipe_.evaluates || drawn_) return "";
    return recipe_.segments ? R"(, "best": "segmentation.miou")" : R"(, "best": "knn.accuracy")";
  }

  /// Pictures as evaluations see them, squares from the middle.
  void squares(const std::string& name, const std::string& from, bool labels, int batch) {
    line("    \"" + name + "\": " + from + ",");
    line("    \"" + name + R"(_decode": { "type": "image.decode", "in": ")" + name + "\"" + decode_parameters() + " },");
    line("    \"" + name + R"(_resize": { "type": "image.resize", "in": ")" + name + R"(_decode", "size": "$size", "fit": "shortest" },)");
    line("    \"" + name + R"(_view": { "type": "image.center_crop", "in": ")" + name + R"(_resize", "size": "$size" },)");
    line("    \"" + name + R"(_batch": { "type": "batch.stack", "in": { "image": ")" + name + "_view\"" +
         (labels ? R"(, "label": ")" + name + "\"" : "") + print(" }, \"size\": %d },", batch));
    line("    \"" + name + R"(_upload": { "type": "device.upload", "in": ")" + name + R"(_batch.*", "mean": "$mean", "std": "$std" },)");
  }

  /// Frozen features of one side of the evaluations.
  void side(const std::string& name, const std::string& from, bool pixels) {
    squares(name, from, /*labels=*/true, recipe_.gpu ? 500 : 100);
    line("    \"" + name + R"(_features": { "type": "eval.features", "in": ")" + name + R"(_upload.*", "model": "teacher" },)");
    if (pixels) line("    \"" + name + R"(_pixels": { "type": "eval.pixels", "in": ")" + name + R"(_upload.*" },)");
  }

  /// Frozen tokens of one side of a segmentation.
  void side_with_maps(const std::string& name, const LabelMaps& maps, const std::string& more) {
    const auto node = [&](const std::string& suffix, const std::string& rest) { line("    \"" + name + suffix + "\": { " + rest + " },"); };
    node("", R"("type": "source.pairs", "images": )" + json_text(ordered_json(maps.images)) +
                 ", \"labels\": " + json_text(ordered_json(maps.labels)) + ", " + more);
    node("_decode", R"("type": "image.decode", "in": ")" + name + "\"" + decode_parameters());
    node("_view", R"("type": "image.resize", "in": ")" + name + R"(_decode", "size": "$size")");
    node("_labels", R"("type": "image.png_labels", "in": ")" + name + "\"" + (maps.is_mask ? R"(, "map": [255, 1])" : ""));
    node("_map", R"("type": "image.label_resize", "in": ")" + name + R"(_labels", "size": "$size")");
    node("_batch", R"("type": "batch.stack", "in": { "image": ")" + name + R"(_view", "label_map": ")" + name + "_map\" }, \"size\": 32");
    node("_upload", R"("type": "device.upload", "in": ")" + name + R"(_batch.*", "mean": "$mean", "std": "$std")");
    node("_tokens", R"("type": "eval.tokens", "in": ")" + name + R"(_upload.*", "model": "teacher")");
  }

  static std::string limited(int64_t limit, const std::string& part) {
    return print("\"limit\": %lld", Long{limit}) + (part.empty() ? "" : ", " + part);
  }

  void segmentation() {
    line("");
    comment(
        "How good the teacher's features are: label maps by the nearest patches. Training never sees them. At the start: what a random encoder has.");
    comment("If a class means that there is no label, say so in both png_labels: \"ignore\": [11], for example.");
    side_with_maps("known", *sources_.maps, limited(recipe_.known, part("kept")));
    side_with_maps("unseen", sources_.held_out_maps.value_or(*sources_.maps), limited(recipe_.unseen, part("held_out")));
    line(R"(    "segmentation": { "type": "eval.knn_segmentation", "in": { "train": "known_tokens", "test": "unseen_tokens" }, "at": ["start", )" +
         epochs(recipe_.evaluate_every) + ", \"end\"] },");
  }

  /// A picture of what patches are like.
  void features() {
    line("");
    comment("What the teacher's patches are like, as colours, in features.png and the report.");
    if (!recipe_.segments) {
      const bool other = recipe_.evaluates && sources_.held_out;
      squares("shown", source(other ? *sources_.held_out : sources_.data, limited(8, part("held_out"))), /*labels=*/false, 8);
      line(R"(    "shown_tokens": { "type": "eval.tokens", "in": "shown_upload.*", "model": "teacher" },)");
    }
    const std::string shown = recipe_.segments ? "unseen" : "shown";
    line(R"(    "features": { "type": "report.features", "in": { "tokens": ")" + shown + R"(_tokens", "image": ")" + shown +
         R"(_batch" }, "at": ["start", )" + epochs(recipe_.evaluate_every) + ", \"end\"] }");
  }

  void evaluations() {
    if (recipe_.segments) return segmentation();
    const bool pixels = recipe_.size <= 64;
    line("");
    comment("How good the teacher's features are: by labels, which training never sees. At the start: what a random encoder has" +
            std::string(pixels ? ", and what bare pixels have." : "."));
    side("known", source(sources_.data, limited(recipe_.known, part("kept"))), pixels);
    side("unseen", source(sources_.held_out.value_or(sources_.data), limited(recipe_.unseen, part("held_out"))), pixels);
    comment("k: " + why("near") + ".");
    line(print(R"(    "knn": { "type": "eval.knn", "in": { "train": "known_features", "test": "unseen_features" }, "k": [%lld], "at": ["start", )",
               Long{recipe_.near}) +
         epochs(recipe_.evaluate_every) + ", \"end\"] },");
    line(R"(    "linear": { "type": "eval.linear", "in": { "train": "known_features", "test": "unseen_features" }, "at": ["start", "end"] },)");
    if (pixels) {
      line(print(
          R"(    "pixels_knn": { "type": "eval.knn", "in": { "train": "known_pixels", "test": "unseen_pixels" }, "k": [%lld], "at": "start" },)",
          Long{recipe_.near}));
    }
  }

  const Recipe& recipe_;
  const DataFacts& facts_;
  const Sources& sources_;
  const bool drawn_;
  std::string out_;
};

}  // namespace

std::string recipe_text(const Recipe& recipe, const DataFacts& facts, const Sources& sources, const std::string& machine, bool drawn) {
  return Text(recipe, facts, sources, drawn).write(machine);
}

}  // namespace flowrun::app
