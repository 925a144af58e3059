// index and pack: tar shards.
#include "tools/flowrun/cli/pack.h"

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <mutex>
#include <nlohmann/json.hpp>

#include "graph/contract/context.h"
#include "graph/text/json_text.h"
#include "io/error.h"
#include "io/file.h"
#include "io/pack/pack.h"
#include "io/shards/shard_scan.h"
#include "io/stores/object_store.h"
#include "io/stores/random_file.h"
#include "tools/app/text.h"
#include "tools/flowrun/cli/progress.h"

namespace flowrun::cli {
namespace {

using namespace app;
namespace fs = std::filesystem;

std::optional<io::LabelKind> label_kind(const std::string& name) {
  for (const io::LabelKind kind : {io::LabelKind::none, io::LabelKind::cls, io::LabelKind::json, io::LabelKind::folder}) {
    if (name == io::label_kind_name(kind)) return kind;
  }
  return std::nullopt;
}

std::string size_text(uint64_t bytes) {
  char text[32];
  if (bytes < 10'000'000) {
    std::snprintf(text, sizeof text, "%.1f kB", static_cast<double>(bytes) / 1e3);
  } else {
    std::snprintf(text, sizeof text, "%.1f MB", static_cast<double>(bytes) / 1e6);
  }
  return text;
}

/// "labels from folder, 10 classes"
std::string label_text(io::LabelKind kind, int64_t classes) {
  if (kind == io::LabelKind::none) return "no labels";
  return "labels from " + std::string(kind == io::LabelKind::folder ? "folders" : "." + std::string(io::label_kind_name(kind))) + ", " +
         std::to_string(classes) + (classes == 1 ? " class" : " classes");
}

uint64_t total_bytes(const std::vector<fs::path>& files) {
  uint64_t total = 0;
  for (const fs::path& file : files) {
    if (io::is_url(file.string())) {
      total += io::object_store().find(file.string()).size;
      continue;
    }
    std::error_code error;  // reading it reports the fault
    const uintmax_t size = fs::file_size(file, error);
    if (!error) total += size;
  }
  return total;
}

std::string cut_text(const io::CutPictures& cut) {
  return print("%llu resized ", static_cast<unsigned long long>(cut.count)) + (cut.count == 1 ? "picture has" : "pictures have") +
         " 16 bits a sample, of which the upper 8 are taken, since JPEG has no more; the first is " + cut.first +
         print(", whose values are %.9g to %.9g of 65535: pack them without --resize, and give image.decode a \"range\"", cut.values.low,
               cut.values.high);
}

void print_json(const nlohmann::ordered_json& json) { std::printf("%s\n", json_text(json, 2).c_str()); }

}  // namespace

int index_shards(const IndexArgs& args) {
  const std::vector<fs::path> shards = io::list_shards(args.shards);
  if (args.out.empty() && io::is_url(shards[0].string())) {
    throw io::Error("the index of shards in an object store is written to this machine: name it by --out, and as path of source.shards");
  }
  const fs::path out = args.out.empty() ? shards[0].parent_path() / io::shard_index_name : fs::path(args.out);
  TerminalProgress progress(args.quiet);
  std::mutex mutex;
  uint64_t done = 0;
  const uint64_t total = total_bytes(shards);
  io::IndexOptions options{.labels = label_kind(args.labels), .image = args.image, .threads = args.threads};
  options.progress = [&](uint64_t bytes) {
    const std::lock_guard lock(mutex);
    progress.working("indexed", static_cast<int64_t>((done += bytes) >> 20), static_cast<int64_t>(total >> 20), "MiB");
  };
  io::remove_dead_temporaries(fs::absolute(out).parent_path());
  const io::IndexedShards made = io::index_shards(shards, out.parent_path(), options);
  const std::vector<uint8_t> bytes = io::encode_shard_index(made.index);
  io::write_file_atomic(out, std::as_bytes(std::span(bytes)));
  progress.clear();
  if (!made.remark.empty()) log_warning(made.remark);
  const io::ShardIndex& index = made.index;
  if (args.json) {
    print_json({{"index", out.string()},
                {"shards", index.shards.size()},
                {"samples", index.samples.size()},
                {"labels", io::label_kind_name(index.labels)},
                {"classes", index.class_count()},
                {"class_names", index.classes},
                {"frames", index.frames.size()},
                {"passed_over", made.passed_over}});
    return 0;
  }
  const auto captions = std::count_if(index.captions.begin(), index.captions.end(), [](const io::ShardCaption& caption) { return caption.size > 0; });
  std::printf("%s: %zu samples in %zu %s, %s%s\n", out.c_str(), index.samples.size(), index.shards.size(),
              index.shards.size() == 1 ? "shard" : "shards", label_text(index.labels, index.class_count()).c_str(),
              captions > 0 ? (", " + std::to_string(captions) + " captions").c_str() : "");
  if (made.passed_over > 0) std::printf("passed over: %llu members that belong to no image\n", static_cast<unsigned long long>(made.passed_over));
  return 0;
}

int pack(const PackArgs& args) {
  TerminalProgress progress(args.quiet);
  io::PackOptions options{.to_folder = args.to == "folder",
                          .shard_bytes = static_cast<uint64_t>(args.shard_mib) << 20,
                          .zstd = args.zstd,
                          .resize = args.resize,
                          .quality = args.quality,
                          .filter = args.filter == "bilinear" ? io::Filter::bilinear : io::Filter::bicubic,
                          .labels = label_kind(args.labels),
                          .threads = args.threads};
  if (!args.tiled.empty()) options.tiles_per_row = args.tiled == "mcu" ? 0 : std::stoi(args.tiled);
  options.progress = [&](const char* what, uint64_t done, uint64_t total) {
    progress.working(what, static_cast<int64_t>(done), static_cast<int64_t>(total), "images");
  };
  const std::vector<std::string> from(args.paths.begin(), args.paths.end() - 1);
  const std::string& to = args.paths.back();
  const io::PackReport report = io::pack(from, to, options);
  progress.clear();
  if (report.cut.count > 0) log_warning(cut_text(report.cut));
  if (report.captions > 0) {
    log_warning(std::to_string(report.captions) +
                " images have captions (.txt), which are not packed: shards with captions are used as they are, by " + "flowrun index");
  }
  if (args.json) {
    print_json({{"out", to},
                {"samples", report.samples},
                {"shards", report.shards},
                {"bytes", report.bytes},
                {"labels", io::label_kind_name(report.labels)},
                {"classes", report.classes},
                {"resized", report.resized},
                {"cut_to_8_bits", report.cut.count},
                {"tiled", report.tiled},
                {"found", report.found},
                {"was_complete", report.was_complete}});
    return 0;
  }
  std::string text = to + ": " + std::to_string(report.samples) + " images";
  if (!options.to_folder) text += " in " + std::to_string(report.shards) + (report.shards == 1 ? " shard" : " shards");
  if (report.was_complete) {
    text += ", was complete already";
  } else {
    text += ", " + size_text(report.bytes) + ", " + label_text(report.labels, report.classes) + ", verified";
    if (report.found > 0) text += "; " + std::to_string(report.found) + " were there from an earlier call";
    if (options.tiles_per_row) text += "; " + std::to_string(report.tiled) + " were tiled";
    if (options.resize > 0) text += "; " + std::to_string(report.resized) + " were made smaller";
  }
  std::printf("%s\n", text.c_str());
  return 0;
}

}  // namespace flowrun::cli
