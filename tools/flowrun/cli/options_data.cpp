// Commands on data sets: shards and their indexes.
#include <algorithm>
#include <thread>

#include "tools/flowrun/cli/options.h"
#include "tools/flowrun/cli/pack.h"

namespace flowrun::cli {
namespace {

void add_labels(CLI::App& command, std::string& labels) {
  command
      .add_option(
          "--labels", labels,
          "Where shards' labels come from: .cls, .json (\"label\", \"cls\" or \"class\"), folders in the names; auto: the first of these that any "
          "image has")
      ->check(CLI::IsMember({"auto", "cls", "json", "folder", "none"}))
      ->capture_default_str();
}

void add_work(CLI::App& command, int& threads, bool& json, bool& quiet) {
  threads = static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
  command.add_option("--threads", threads, "Number of threads; the result doesn't depend on it")->check(CLI::Range(1, 1024));
  command.add_flag("--json", json, "The result as JSON");
  command.add_flag("--quiet", quiet, "No progress line");
}

void add_index(CLI::App& app, int& status) {
  CLI::App& command = add_command(app, "index", "Writes the index of tar shards that source.shards needs", "flowrun index data/shards");
  const auto args = std::make_shared<IndexArgs>();
  command.add_option("shards", args->shards, "Shards (.tar, .tar.zst), or folders of them")->required();
  command.add_option("-o,--out", args->out, "The index file; without it index.flowrun beside the first shard");
  add_labels(command, args->labels);
  command.add_option("--image", args->image,
                     "Ending of the images' names after the key's dot (jpg, image.png), for samples with several pictures; without it the picture "
                     "with nothing in between, such as x.jpg beside x.mask.png");
  add_work(command, args->threads, args->json, args->quiet);
  on_command(command, args, status, index_shards);
}

void add_pack(CLI::App& app, int& status) {
  CLI::App& command = add_command(app, "pack", "Writes a folder of images, or shards, as shards with an index, or as a folder",
                                  "flowrun pack data/train data/train-shards --tiled");
  const auto args = std::make_shared<PackArgs>();
  command.add_option("paths", args->paths, "FROM OUT: a folder of images, or shards and folders of them; and the new folder")
      ->required()
      ->expected(2, 1 << 20);
  command.add_option("--to", args->to, "What to write")->check(CLI::IsMember({"shards", "folder"}))->capture_default_str();
  command.add_option("--shard-mib", args->shard_mib, "Size that no shard exceeds, unless one image does")
      ->check(CLI::Range(1, 1 << 20))
      ->capture_default_str();
  command.add_option("--resize", args->resize, "Shrinks images whose shortest side is longer than this, in pixels")->check(CLI::Range(1, 16384));
  command.add_option("--quality", args->quality, "JPEG quality of shrunk images")->check(CLI::Range(1, 100))->capture_default_str();
  command.add_option("--filter", args->filter, "Filter of the resize")->check(CLI::IsMember({"bicubic", "bilinear"}))->capture_default_str();
  command
      .add_option("--tiled", args->tiled,
                  "Rewrites JPEGs, without a change of their pixels, so that crops decode faster: 16 (or N) tiles per row, or mcu for the smallest")
      ->expected(0, 1)
      ->default_str("16")
      ->check(CLI::IsMember({"mcu"}) | CLI::Range(1, 4096));
  command.add_flag("--zstd", args->zstd, "Compresses shards, each sample separately (.tar.zst); JPEG hardly shrinks");
  add_labels(command, args->labels);
  add_work(command, args->threads, args->json, args->quiet);
  on_command(command, args, status, pack);
}

}  // namespace

void add_data_commands(CLI::App& app, int& status) {
  add_index(app, status);
  add_pack(app, status);
}

}  // namespace flowrun::cli
