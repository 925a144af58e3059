#include "tools/app/weights/hub_config.h"

#include <cmath>

#include "tools/app/json_files.h"

namespace flowrun::app {
namespace {

using nlohmann::ordered_json;

ordered_json at(const ordered_json& object, const char* key) { return object.is_object() && object.contains(key) ? object[key] : ordered_json(); }

int64_t whole(const ordered_json& value) { return value.is_number_integer() ? value.get<int64_t>() : 0; }

/// 224, or {"height": 224, "width": 224}.
int64_t side_of(const ordered_json& size) { return size.is_object() ? whole(at(size, "height")) : whole(size); }

}  // namespace

std::vector<ordered_json> square_views(int64_t side, double share, const std::string& filter) {
  const auto shortest = static_cast<int64_t>(std::floor(static_cast<double>(side) / share));
  return {{{"type", "image.resize"}, {"size", shortest}, {"fit", "shortest"}, {"filter", filter}}, {{"type", "image.center_crop"}, {"size", side}}};
}

HubConfig::HubConfig(const std::filesystem::path& folder) {
  const ordered_json config = read_json(folder / "config.json"), pictures = read_json(folder / "preprocessor_config.json");
  if (at(config, "architecture").is_string()) {
    read_timm(config);
  } else if (at(config, "model_type").is_string()) {
    read_transformers(config, pictures);
  }
}

/// https://huggingface.co/docs/timm: pretrained_cfg.
void HubConfig::read_timm(const ordered_json& config) {
  said = "config.json";
  architecture = words_at(config, "architecture");
  if (words_at(config, "global_pool") == "token") what = "cls";
  if (const int64_t heads = whole(at(at(config, "model_args"), "num_heads")); heads > 0) model["heads"] = heads;
  const ordered_json pretrained = at(config, "pretrained_cfg"), size = at(pretrained, "input_size");
  if (size.is_array() && size.size() == 3) side = whole(size[2]);
  if (const ordered_json share = at(pretrained, "crop_pct"); share.is_number()) share_ = share.get<double>();
  filter_ = words_at(pretrained, "interpolation", filter_);
  squashed_ = words_at(pretrained, "crop_mode") == "squash";
  for (const char* const name : {"mean", "std"}) {
    if (const ordered_json values = at(pretrained, name); values.is_array()) upload[name] = values;
  }
}

/// https://huggingface.co/docs/transformers: image processors. Their resample is Pillow's number of the filter.
void HubConfig::read_transformers(const ordered_json& config, const ordered_json& pictures) {
  constexpr int64_t bilinear = 2;
  said = pictures.is_object() ? "preprocessor_config.json" : "config.json";
  if (const int64_t heads = whole(at(config, "num_attention_heads")); heads > 0) model["heads"] = heads;
  if (const ordered_json eps = at(config, "layer_norm_eps"); eps.is_number()) model["norm_eps"] = eps;
  if (words_at(config, "hidden_act") == "quick_gelu") model["quick_gelu"] = true;
  side = whole(at(config, "image_size"));
  for (const auto& [name, theirs] : {std::pair{"mean", "image_mean"}, {"std", "image_std"}}) {
    if (const ordered_json values = at(pictures, theirs); values.is_array()) upload[name] = values;
  }
  if (whole(at(pictures, "resample")) == bilinear) filter_ = "bilinear";
  const int64_t shortest = whole(at(at(pictures, "size"), "shortest_edge")), resized = side_of(at(pictures, "size"));
  const bool crops =
      !at(pictures, "do_center_crop").is_boolean() ? at(pictures, "crop_size").is_object() : at(pictures, "do_center_crop").get<bool>();
  const int64_t cropped = crops ? side_of(at(pictures, "crop_size")) : 0;
  squashed_ = shortest == 0 && resized > 0 && cropped == 0;
  if (cropped > 0 || squashed_) side = squashed_ ? resized : cropped;
  if (shortest > 0 && side > 0) share_ = static_cast<double>(side) / static_cast<double>(shortest);
}

std::vector<ordered_json> HubConfig::views(int64_t of_side) const {
  if (squashed_) return {{{"type", "image.resize"}, {"size", of_side}, {"fit", "square"}, {"filter", filter_}}};
  return square_views(of_side, share_, filter_);
}

}  // namespace flowrun::app
