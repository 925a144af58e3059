// What the files beside weights from a hub say of an encoder and of its pictures.
#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace flowrun::app {

/// timm's config.json, which `flowrun export` writes, too; or transformers' config.json with preprocessor_config.json.
struct HubConfig {
  /// Of a folder.
  explicit HubConfig(const std::filesystem::path& folder);

  std::string said;                                                  // which file it was; empty: there is none, and the rest means nothing
  std::string architecture;                                          // timm's name
  nlohmann::ordered_json model = nlohmann::ordered_json::object();   // parameters of model.pretrained: heads, norm_eps
  nlohmann::ordered_json upload = nlohmann::ordered_json::object();  // mean and std
  std::string what;                                                  // as EmbedArgs; empty: not said
  int64_t side = 0;                                                  // of the pictures; 0: not said
  /// The nodes behind the decoder, for pictures of this side.
  std::vector<nlohmann::ordered_json> views(int64_t of_side) const;

 private:
  void read_timm(const nlohmann::ordered_json& config);
  void read_transformers(const nlohmann::ordered_json& config, const nlohmann::ordered_json& pictures);

  double share_ = 0.875;   // of the shortest side that is seen
  bool squashed_ = false;  // both sides are resized
  std::string filter_ = "bicubic";
};

/// The shortest side is resized, and a square of `side` pixels, which is that share of it, is taken from the middle.
std::vector<nlohmann::ordered_json> square_views(int64_t side, double share, const std::string& filter = "bicubic");

}  // namespace flowrun::app
