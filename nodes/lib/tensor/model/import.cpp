#include "nodes/lib/tensor/model/import.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/upsample_bicubic2d.h>
#include <algorithm>
#include <array>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <regex>
#include <stdexcept>

#include "io/run/safetensors.h"
#include "nodes/lib/tensor/model/sincos.h"

namespace flowrun::model {
namespace {

constexpr std::array wrappers = {"module.", "model.", "student.", "teacher.", "target_encoder.", "backbone.", "vit.", "dinov2.",
                                 "dinov2_with_registers.", "ijepa.",
                                 // torch.compile, FSDP
                                 "_orig_mod.", "_fsdp_wrapped_module."};

/// Removes prefixes that training programs put before every name.
std::string strip_wrappers(std::string name) {
  for (bool found = true; found;) {
    found = false;
    for (const char* prefix : wrappers) {
      if (name.starts_with(prefix)) name.erase(0, std::char_traits<char>::length(prefix)), found = true;
    }
  }
  return name;
}

bool is_ignored(const std::string& name) {
  static const std::regex others(
      "(decoder[_.].*|mask_token|mask_tokens|embeddings\\.mask_token|heads?\\..*|head_dist\\..*|classifier\\..*|pooler\\..*|projection_head\\..*|lm_"
      "head\\..*|dino_head\\..*|ibot_head\\..*|dino_loss\\..*|ibot_patch_loss\\..*|koleo_loss\\..*|predictor\\..*|momentum_.*|queue.*)");
  return std::regex_match(name, others);
}

/// The prefix of the model that is evaluated, in a training checkpoint with student and teacher. Empty: the file has
/// one model.
std::string side_to_take(const NamedTensors& tensors) {
  const auto has = [&](const char* prefix) {
    return std::any_of(tensors.begin(), tensors.end(), [&](const auto& entry) { return entry.first.starts_with(prefix); });
  };
  if (has("teacher.") && has("student.")) return "teacher.";
  if (has("target_encoder.") && has("encoder.")) return "target_encoder.";
  return "";
}

/// timm's name of a DINOv2, MAE or I-JEPA name.
std::string timm_name(const std::string& name) {
  static const std::regex chunk("blocks\\.\\d+\\.(\\d+)\\.(.*)");
  std::smatch match;
  if (std::regex_match(name, match, chunk)) return "blocks." + match[1].str() + "." + match[2].str();
  if (name == "register_tokens") return "reg_token";
  if (name == "fc_norm.weight" || name == "fc_norm.bias") return name.substr(3);
  return name;
}

const std::vector<std::pair<std::regex, std::string>>& huggingface_rules() {
  static const std::vector<std::pair<std::regex, std::string>> rules = {
      {std::regex("embeddings\\.cls_token"), "cls_token"},
      {std::regex("embeddings\\.register_tokens"), "reg_token"},
      {std::regex("embeddings\\.position_embeddings"), "pos_embed"},
      {std::regex("embeddings\\.patch_embeddings\\.projection\\.(\\w+)"), "patch_embed.proj.$1"},
      {std::regex("encoder\\.layer\\.(\\d+)\\.(?:layernorm_before|norm1)\\.(\\w+)"), "blocks.$1.norm1.$2"},
      {std::regex("encoder\\.layer\\.(\\d+)\\.(?:layernorm_after|norm2)\\.(\\w+)"), "blocks.$1.norm2.$2"},
      {std::regex("encoder\\.layer\\.(\\d+)\\.attention\\.attention\\.(query|key|value)\\.(\\w+)"), "blocks.$1.attn.$2.$3"},
      {std::regex("encoder\\.layer\\.(\\d+)\\.attention\\.output\\.dense\\.(\\w+)"), "blocks.$1.attn.proj.$2"},
      {std::regex("encoder\\.layer\\.(\\d+)\\.layer_scale1\\.lambda1"), "blocks.$1.ls1.gamma"},
      {std::regex("encoder\\.layer\\.(\\d+)\\.layer_scale2\\.lambda1"), "blocks.$1.ls2.gamma"},
      {std::regex("encoder\\.layer\\.(\\d+)\\.(?:intermediate\\.dense|mlp\\.fc1)\\.(\\w+)"), "blocks.$1.mlp.fc1.$2"},
      {std::regex("encoder\\.layer\\.(\\d+)\\.(?:output\\.dense|mlp\\.fc2)\\.(\\w+)"), "blocks.$1.mlp.fc2.$2"},
      {std::regex("layernorm\\.(\\w+)"), "norm.$1"},
  };
  return rules;
}

std::string huggingface_name(const std::string& name) {
  for (const auto& [pattern, replacement] : huggingface_rules()) {
    if (std::regex_match(name, pattern)) return std::regex_replace(name, pattern, replacement);
  }
  return name;
}

/// query, key and value of each block, one above the other, as qkv.
void join_attention(NamedTensors& tensors) {
  for (auto it = tensors.begin(); it != tensors.end();) {
    const std::string name = it->first;
    const size_t at = name.find(".attn.query.");
    if (at == std::string::npos) {
      ++it;
      continue;
    }
    const std::string prefix = name.substr(0, at), suffix = name.substr(at + 12);
    const auto key = tensors.find(prefix + ".attn.key." + suffix), value = tensors.find(prefix + ".attn.value." + suffix);
    if (key == tensors.end() || value == tensors.end()) throw std::invalid_argument("the file has " + name + " without its key or value");
    const Tensor joined = at::cat({it->second, key->second, value->second});
    tensors.erase(key), tensors.erase(value);
    it = tensors.erase(tensors.find(name));
    tensors.emplace(prefix + ".attn.qkv." + suffix, joined);
  }
}

/// Merges LoRA's additions into the weights, so that the file holds a plain encoder.
void merge_lora(NamedTensors& tensors, double scale) {
  for (auto it = tensors.begin(); it != tensors.end();) {
    const std::string name = it->first;
    if (!name.ends_with(".lora_a")) {
      ++it;
      continue;
    }
    const std::string prefix = name.substr(0, name.size() - 7);
    const auto b = tensors.find(prefix + ".lora_b"), weight = tensors.find(prefix + ".weight");
    if (b == tensors.end() || weight == tensors.end()) throw std::invalid_argument("the file has " + name + " without its lora_b or weight");
    weight->second = weight->second.add(b->second.matmul(it->second), scale);
    tensors.erase(b);
    it = tensors.erase(tensors.find(name));
  }
}

const Tensor& need(const NamedTensors& tensors, const std::string& name) {
  const auto found = tensors.find(name);
  if (found == tensors.end()) {
    throw std::invalid_argument("the file has no \"" + name +
                                "\": it holds no vision transformer, or under names that are not known (see docs/weights.md)");
  }
  return found->second;
}

int64_t known_heads(int64_t width) {
  if (width == 1280) return 16;
  if (width == 1408) return 16;
  if (width % 64 == 0 && (width <= 1024 || width == 1536)) return width / 64;
  throw std::invalid_argument("the number of attention heads can't be told from a width of " + std::to_string(width) + ": set \"heads\"");
}

struct PositionRows {
  Tensor prefix_PD;  ///< of class token and registers; may have no rows
  Tensor patch_ND;
};

/// pos_embed apart: rows of the tokens in front, and rows of patches (a square number).
PositionRows split_positions(const NamedTensors& tensors) {
  const Tensor rows = need(tensors, "pos_embed").flatten(0, -2);
  for (int64_t prefix : {int64_t{0}, int64_t{1}}) {
    const auto side = static_cast<int64_t>(std::llround(std::sqrt(static_cast<double>(rows.size(0) - prefix))));
    if (side * side == rows.size(0) - prefix) return {rows.narrow(0, 0, prefix), rows.narrow(0, prefix, side * side)};
  }
  const auto registers = tensors.find("reg_token");
  const int64_t prefix = 1 + (registers == tensors.end() ? 0 : registers->second.size(-2));
  const auto side = static_cast<int64_t>(std::llround(std::sqrt(static_cast<double>(rows.size(0) - prefix))));
  if (side * side != rows.size(0) - prefix)
    throw std::invalid_argument("pos_embed has " + std::to_string(rows.size(0)) + " rows, which is no square grid of patches");
  return {rows.narrow(0, 0, prefix), rows.narrow(0, prefix, side * side)};
}

int64_t grid_of(const Tensor& rows_ND) { return static_cast<int64_t>(std::llround(std::sqrt(static_cast<double>(rows_ND.size(0))))); }

Tensor resampled(const Tensor& rows_ND, int64_t grid) {
  const int64_t from = grid_of(rows_ND), width = rows_ND.size(1);
  if (from == grid) return rows_ND;
  const Tensor image = rows_ND.to(at::kFloat).view({1, from, from, width}).permute({0, 3, 1, 2}).contiguous();
  return at::upsample_bicubic2d(image, {grid, grid}, /*align_corners=*/false).flatten(2).transpose(1, 2).squeeze(0).contiguous();
}

std::string listed(const std::vector<std::string>& names) {
  std::string text;
  for (size_t i = 0; i < names.size() && i < 4; ++i) text += (i ? ", " : "") + names[i];
  return names.size() > 4 ? text + " and " + std::to_string(names.size() - 4) + " more" : text;
}

}  // namespace

Imported to_timm_names(const WeightsFile& file, Layout layout) {
  Imported out;
  out.notes = file.notes;
  const auto is_huggingface = [](const auto& entry) { return entry.first.find("encoder.layer.") != std::string::npos; };
  const bool huggingface =
      layout == Layout::huggingface || (layout == Layout::automatic && std::any_of(file.tensors.begin(), file.tensors.end(), is_huggingface));
  const std::string side = side_to_take(file.tensors);
  for (const auto& [name, tensor] : file.tensors) {
    const std::string bare = strip_wrappers(name);
    if (!name.starts_with(side) || is_ignored(bare)) {
      out.ignored.push_back(name);
      continue;
    }
    const std::string renamed = huggingface ? huggingface_name(bare) : timm_name(bare);
    if (!out.tensors.emplace(renamed, tensor).second) {
      throw std::invalid_argument("the file has two tensors for " + renamed + ", one of them " + name +
                                  ": it holds more than one model; export the one you mean");
    }
  }
  if (huggingface) join_attention(out.tensors);
  merge_lora(out.tensors, file.notes.contains("lora_scale") ? file.notes.at("lora_scale") : 1.0);
  return out;
}

VitConfig infer_config(const Imported& imported, int64_t heads) {
  const NamedTensors& tensors = imported.tensors;
  VitConfig config;
  const Tensor& patch = need(tensors, "patch_embed.proj.weight");
  if (patch.dim() != 4 || patch.size(2) != patch.size(3))
    throw std::invalid_argument("patch_embed.proj.weight is not [width, channels, patch, patch]");
  config.width = patch.size(0), config.channels = patch.size(1), config.patch = patch.size(2);
  config.depth = 0;
  while (tensors.contains("blocks." + std::to_string(config.depth) + ".norm1.weight")) ++config.depth;
  config.gated = tensors.contains("blocks.0.mlp.w12.weight");
  // Of gated MLPs two thirds of the ratio's width are there.
  const auto hidden =
      static_cast<double>(config.gated ? need(tensors, "blocks.0.mlp.w3.weight").size(1) * 3 / 2 : need(tensors, "blocks.0.mlp.fc1.weight").size(0));
  config.mlp_ratio = hidden / static_cast<double>(config.width);
  need(tensors, "blocks.0.attn.qkv.bias");
  const auto noted = imported.notes.find("heads");
  config.heads = heads > 0 ? heads : noted != imported.notes.end() ? static_cast<int64_t>(noted->second) : known_heads(config.width);
  if (const auto eps = imported.notes.find("norm_eps"); eps != imported.notes.end()) config.norm_eps = eps->second;
  config.quick_gelu = imported.notes.contains("quick_gelu");
  config.pre_norm = tensors.contains("norm_pre.weight");
  config.class_token = tensors.contains("cls_token");
  config.time = tensors.contains("time.fc1.weight");
  const auto registers = tensors.find("reg_token");
  config.registers = registers == tensors.end() ? 0 : registers->second.size(-2);
  config.layer_scale = tensors.contains("blocks.0.ls1.gamma") ? 1e-5 : 0;
  config.image = grid_of(split_positions(tensors).patch_ND) * config.patch;
  const auto rotary = imported.notes.find("rotary");
  if (rotary != imported.notes.end()) {
    config.positions = rotary->second == 1 ? Positions::rotary : Positions::rotary_capi;
  } else {
    config.positions = has_sincos_positions(tensors, config) ? Positions::sincos : Positions::learned;
  }
  return config;
}

bool has_sincos_positions(const NamedTensors& tensors, const VitConfig& config) {
  const PositionRows positions = split_positions(tensors);
  if (config.width % 4 != 0) return false;
  const Tensor table = sincos_table(grid_of(positions.patch_ND), config.width);
  const bool none_in_front = positions.prefix_PD.numel() == 0 || positions.prefix_PD.abs().max().item<double>() < 1e-6;
  return none_in_front && table.sub(positions.patch_ND.to(at::kFloat)).abs().max().item<double>() < 1e-5;
}

std::string ImportReport::text() const {
  std::string out = "matched " + std::to_string(matched) + " of " + std::to_string(parameters) + " parameters";
  if (!missing.empty()) out += "; not in the file: " + listed(missing);
  if (!unused.empty()) out += "; not in the model: " + listed(unused);
  for (const std::string& note : notes) out += "; " + note;
  return out;
}

ImportReport load_weights(Vit& vit, const Imported& imported) {
  const at::NoGradGuard no_grad;
  ImportReport report;
  NamedTensors tensors = imported.tensors;
  if (tensors.contains("pos_embed")) {
    const PositionRows positions = split_positions(tensors);
    const int64_t from = grid_of(positions.patch_ND), to = vit.config().grid();
    tensors.erase("pos_embed");
    if (vit.config().positions == Positions::learned) {
      tensors.emplace("pos_embed", resampled(positions.patch_ND, to).unsqueeze(0));
      if (from != to)
        report.notes.push_back("positions resampled from " + std::to_string(from) + "x" + std::to_string(from) + " to " + std::to_string(to) + "x" +
                               std::to_string(to));
    }
    int64_t row = 0;
    for (const char* token : {"cls_token", "reg_token"}) {
      const auto found = tensors.find(token);
      if (found == tensors.end() || row >= positions.prefix_PD.size(0)) continue;
      const int64_t count = found->second.size(-2);
      found->second = found->second.add(positions.prefix_PD.narrow(0, row, count));
      row += count;
    }
  }
  for (const Parameter& parameter : vit.parameters()) {
    if (parameter.name.ends_with(".lora_a") || parameter.name.ends_with(".lora_b")) continue;  // begin as they are
    ++report.parameters;
    const auto found = tensors.find(parameter.name);
    if (found == tensors.end()) {
      report.missing.push_back(parameter.name);
      continue;
    }
    const bool reshaped = found->second.dim() != parameter.value.dim() && found->second.numel() == parameter.value.numel();
    vit.parameters().assign(parameter.name, reshaped ? found->second.view(parameter.value.sizes()) : found->second);
    tensors.erase(found);
    ++report.matched;
  }
  for (const auto& [name, tensor] : tensors) report.unused.push_back(name);
  if (!imported.ignored.empty()) report.notes.push_back(std::to_string(imported.ignored.size()) + " tensors of the file are not part of an encoder");
  return report;
}

std::string Vit::take_weights(const std::string& file) {
  const ImportReport report = load_weights(*this, to_timm_names(read_weights(file), Layout::automatic));
  if (!report.complete()) throw std::invalid_argument(report.text());
  return report.text();
}

WeightsFile read_weights(const std::string& path) {
  static const std::map<std::string, at::ScalarType> types = {
      {"F64", at::kDouble}, {"F32", at::kFloat}, {"F16", at::kHalf}, {"BF16", at::kBFloat16}, {"I64", at::kLong}};
  if (!std::filesystem::exists(path)) throw MissingWeights("cannot open " + path + ": No such file or directory");
  const auto file = std::make_shared<const io::SafetensorsFile>(path);
  WeightsFile out;
  for (const auto& [name, text] : file->metadata()) {
    char* end = nullptr;
    const double value = std::strtod(text.c_str(), &end);
    if (end != text.c_str() && *end == '\0') out.notes[name] = value;
  }
  for (const io::TensorEntry& entry : file->entries()) {
    const auto type = types.find(entry.dtype);
    if (type == types.end()) throw std::invalid_argument(path + ": tensor \"" + entry.name + "\" has type " + entry.dtype + ", which no weight has");
    // The mapping stays for as long as a tensor does.
    const Tensor view = at::from_blob(
        const_cast<std::byte*>(entry.data.data()), entry.shape, [file](void*) {}, at::TensorOptions(type->second));
    const bool half = view.is_floating_point() && type->second != at::kDouble;
    out.tensors.emplace(entry.name, view.to(half ? at::kFloat : type->second, /*non_blocking=*/false, /*copy=*/!ShapesOnly::active()));
  }
  return out;
}

}  // namespace flowrun::model
