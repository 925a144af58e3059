#include "tools/app/embed/embed_pipeline.h"

#include "graph/text/error.h"
#include "graph/text/json_text.h"
#include "tools/app/load/data_kind.h"
#include "tools/app/load/shapes.h"

namespace flowrun::app {
namespace {

using nlohmann::ordered_json;

/// The name of a node of this type that no other has.
std::string free_name(const ordered_json& nodes, const std::string& type) {
  const std::string name = type.substr(type.find('.') + 1);
  for (int n = 1;; ++n) {
    if (std::string tried = n == 1 ? name : name + std::to_string(n); !nodes.contains(tried)) return tried;
  }
}

/// The device node that makes what is written, and the inputs of the node that writes it.
void add_encoding(const EmbedArgs& args, const std::string& what, ordered_json& nodes, ordered_json& in, ordered_json& rows) {
  if (!args.blocks.empty()) {
    if (what == "cls_mean") throw PipelineError("error: --what cls_mean can't be used with --block: choose cls, mean or tokens");
    nodes["encode"] = {{"type", "encode.images"}, {"in", "upload.image"}, {"model", "encoder"},
                       {"pool", "mean"},          {"train", false},       {"blocks", args.blocks}};
    in["blocks"] = "encode";
    rows["take"] = what;
    return;
  }
  if (what == "tokens") {
    nodes["tokens"] = {{"type", "eval.tokens"}, {"in", "upload.image"}, {"model", "encoder"}};
    in["tokens"] = "tokens";
    return;
  }
  nodes["features"] = {{"type", "eval.features"}, {"in", "upload.image"}, {"model", "encoder"}, {"pool", what}};
  in["features"] = "features";
}

}  // namespace

ordered_json flat(const Stretches& left) {
  ordered_json out = ordered_json::array();
  for (const auto& [first, end] : left) out.push_back(first), out.push_back(end);
  return out;
}

ordered_json nodes_to_upload(const EmbedArgs& args, const EncoderToUse& encoder, const Stretches& rows) {
  ordered_json nodes = ordered_json::object();
  nodes["pictures"] = source_of({args.data, args.as, args.folder});
  if (!rows.empty()) nodes["pictures"]["ranges"] = flat(rows);
  nodes["decode"] = {{"type", "image.decode"}, {"in", "pictures"}};
  nodes["decode"].update(encoder.decode);
  nodes["decode"]["on_corrupt"] = "blank";
  std::string last = "decode";
  for (const ordered_json& view : encoder.views) {
    const std::string name = free_name(nodes, view["type"]);
    nodes[name] = {{"type", view["type"]}, {"in", last}};
    nodes[name].update(view);
    last = name;
  }
  ordered_json stacked = {{"image", last}, {"fault", "decode"}};
  if (!args.no_labels) stacked["label"] = "pictures";
  nodes["batch"] = {{"type", "batch.stack"}, {"in", stacked}, {"size", args.batch > 0 ? args.batch : encoder.batch}};
  nodes["upload"] = {{"type", "device.upload"}, {"in", "batch.image"}};
  nodes["upload"].update(encoder.upload);
  return nodes;
}

ordered_json rows_node(const RowsToWrite& rows, ordered_json in) {
  in["ids"] = "batch";
  ordered_json out = {{"type", "eval.rows"}, {"in", std::move(in)}, {"file", rows.file}};
  if (!rows.record.empty()) out["record"] = rows.record;
  if (!rows.left.empty()) out["ranges"] = flat(rows.left), out["rows"] = rows.rows;
  return out;
}

ordered_json frozen_pipeline(const EmbedArgs& args, const EncoderToUse& encoder, ordered_json nodes) {
  ordered_json out = {{"about", "Features of " + args.data + " from " + encoder.file}, {"run", {{"device", "auto"}, {"precision", "fp32"}}}};
  if (!encoder.plugins.empty()) out["plugins"] = encoder.plugins;
  out["models"] = {{"encoder", encoder.model}};
  out["nodes"] = std::move(nodes);
  return out;
}

ordered_json embed_pipeline(const EmbedArgs& args, const EncoderToUse& encoder, const RowsToWrite& rows) {
  ordered_json nodes = nodes_to_upload(args, encoder, rows.left);
  ordered_json in = ordered_json::object(), how = ordered_json::object();
  add_encoding(args, args.what.empty() ? encoder.what : args.what, nodes, in, how);
  in["faults"] = "batch";
  if (!args.no_labels) in["label"] = "batch";
  nodes["rows"] = rows_node(rows, std::move(in));
  nodes["rows"].update(how);
  if (args.half) nodes["rows"]["dtype"] = "float16";
  return frozen_pipeline(args, encoder, std::move(nodes));
}

CheckedPipeline check_text(const ordered_json& pipeline, const std::vector<std::string>& sets) {
  Diagnostics faults;
  const auto text = std::make_shared<Source>(Source{"flowrun embed", json_text(pipeline, 2)});
  const Value value = load_pipeline(text, sets, faults);
  CheckedPipeline checked;
  if (faults.empty()) checked = validate(value, faults);
  if (faults.empty()) check_shapes(checked, value, faults);
  // Its references name models that are gone.
  if (faults.empty()) checked = validate(value, faults);
  if (!faults.empty()) throw PipelineError(faults.render());
  return checked;
}

}  // namespace flowrun::app
