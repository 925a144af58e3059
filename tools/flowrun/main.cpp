#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <thread>

#include "graph/context.h"
#include "graph/error.h"
#include "graph/version.h"
#include "tools/flowrun/commands.h"

namespace {

using namespace flowrun;
using namespace flowrun::tool;

const char* const about =
    "Trains vision models without labels; the training is a graph of nodes that a JSON file defines.\n"
    "  flowrun pretrain.json                         runs it\n"
    "  flowrun pretrain.json --set mask.regions=1    with one value changed\n"
    "  flowrun check pretrain.json                   finds every fault, runs nothing\n"
    "  flowrun help                                  the node types";

void add_pipeline(CLI::App& command, PipelineArgs& args) {
  command.add_option("pipeline", args.file, "Pipeline file (JSON)")->required();
  command
      .add_option("--set", args.sets, "PATH=VALUE: changes one value, as nodes' \"set\" does (mask.regions=1, run.epochs=2, seed=3); may be repeated")
      ->allow_extra_args(false);
}

void add_plugins(CLI::App& command, std::vector<std::string>& plugins) {
  command.add_option("--plugin", plugins, "Shared library whose node types are shown too; may be repeated")->allow_extra_args(false);
}

void add_labels(CLI::App& command, std::string& labels) {
  command
      .add_option(
          "--labels", labels,
          "Where shards' labels come from: .cls, .json (\"label\" or \"cls\"), folders in the names; auto: what the first image has, in this order")
      ->check(CLI::IsMember({"auto", "cls", "json", "folder", "none"}))
      ->capture_default_str();
}

void add_work(CLI::App& command, int& threads, bool& json, bool& quiet) {
  command.add_option("--threads", threads, "What is written doesn't depend on it")->check(CLI::Range(1, 1024));
  command.add_flag("--json", json, "The result as JSON");
  command.add_flag("--quiet", quiet, "No progress line");
}

/// `flowrun pretrain.json …` is short for `flowrun run pretrain.json …`.
std::vector<std::string> arguments(int argc, char** argv, const CLI::App& app) {
  std::vector<std::string> words(argv + 1, argv + argc);
  const auto commands = app.get_subcommands([](const CLI::App*) { return true; });
  const bool is_command = !words.empty() && std::any_of(commands.begin(), commands.end(), [&](const CLI::App* c) { return c->check_name(words[0]); });
  if (!words.empty() && !words[0].starts_with('-') && !is_command) words.insert(words.begin(), "run");
  return {words.rbegin(), words.rend()};  // CLI11 takes them from the back
}

int main_or_throw(int argc, char** argv) {
  CLI::App app(about, "flowrun");
  app.set_version_flag("--version", std::string("flowrun ") + version);
  app.require_subcommand(1);
  int status = 0;

  RunArgs run_args;
  CLI::App& run_command = *app.add_subcommand("run", "Runs a pipeline (the word run may be left out)");
  add_pipeline(run_command, run_args.pipeline);
  run_command.add_option("--out", run_args.out, "Run directory; without it runs/NAME, or the next that is free");
  run_command.add_flag("--resume", run_args.resume, "Goes on from the newest complete checkpoint of the run directory");
  run_command.add_option("--threads", run_args.threads, "Data threads; results don't depend on it")->check(CLI::Range(1, 1024));
  run_command.add_flag("--serial", run_args.serial, "One thread, the same plan: the debugger");
  run_command.add_flag("--quiet", run_args.quiet, "No progress line");
  // For tests: delays in the pool; and a share of the groups, without the exchange of gradients.
  run_command.add_option("--jitter", run_args.jitter)->group("");
  run_command.add_option("--rank", run_args.rank)->group("");
  run_command.add_option("--world", run_args.world)->group("");
  run_command.callback([&] { status = run(run_args); });

  PipelineArgs pipeline;
  CLI::App& check_command = *app.add_subcommand("check", "Finds every fault of a pipeline; runs nothing");
  add_pipeline(check_command, pipeline);
  check_command.callback([&] { status = check(pipeline); });

  CLI::App& expand_command = *app.add_subcommand("expand", "Prints the pipeline with nothing left open; itself runnable");
  add_pipeline(expand_command, pipeline);
  expand_command.callback([&] { status = expand(pipeline); });

  std::string out;
  bool plan = false;
  CLI::App& draw_command = *app.add_subcommand("draw", "Draws the graph");
  add_pipeline(draw_command, pipeline);
  draw_command.add_option("-o,--out", out, "FILE.svg (Graphviz draws it) or FILE.dot; without it DOT is printed");
  draw_command.add_flag("--plan", plan, "What the engine makes of it, in words: slots, tasks, orders");
  draw_command.callback([&] { status = draw(pipeline, out, plan); });

  MaskReportArgs report;
  CLI::App& mask_command = *app.add_subcommand("mask-report", "Draws the masks of a pipeline, without images, and says what they are like");
  add_pipeline(mask_command, report.pipeline);
  mask_command.add_option("--groups", report.groups, "How many groups to draw")->check(CLI::Range(1, 1'000'000))->capture_default_str();
  mask_command.add_option("--node", report.node, "Which mask node, where there are several");
  mask_command.add_option("--size", report.size, "Side of the images in pixels, where the pipeline doesn't say")->check(CLI::Range(1, 16384));
  mask_command.add_flag("--json", report.json, "As JSON");
  mask_command.add_option("-o,--out", report.out, "FILE.svg for a picture too");
  mask_command.callback([&] { status = mask_report(report); });

  ProfileArgs profile_args;
  bool input_only = false;
  CLI::App& profile_command = *app.add_subcommand("profile", "Measures how many images a second the input side gives, and what bounds it");
  add_pipeline(profile_command, profile_args.pipeline);
  profile_command.add_flag("--input-only", input_only, "Only what runs on the host: source, sample and batch nodes; nothing is trained")->required();
  profile_command.add_option("--source", profile_args.source, "Which stream, by its source; without it the one that trains, or the only one");
  profile_command.add_option("--threads", profile_args.threads, "Data threads; without it run.threads")->check(CLI::Range(1, 1024));
  profile_command.add_option("--seconds", profile_args.seconds, "For how long")->check(CLI::Range(0.1, 1e6))->capture_default_str();
  profile_command.add_flag("--json", profile_args.json, "As JSON");
  // For tools/bench: exactly these images; and the upload, to compare batches of floats.
  profile_command.add_option("--skip", profile_args.skip)->group("");
  profile_command.add_option("--images", profile_args.images)->group("");
  profile_command.add_flag("--upload", profile_args.upload)->group("");
  profile_command.callback([&] { status = profile(profile_args); });

  std::string type;
  bool json = false;
  std::vector<std::string> plugins;
  CLI::App& help_command = *app.add_subcommand("help", "Shows the node and model types, or one of them");
  help_command.add_option("type", type, "A type such as mask.rectangles, or run");
  help_command.add_flag("--json", json, "As JSON");
  add_plugins(help_command, plugins);
  help_command.callback([&] { status = help(type, json, plugins); });

  CLI::App& schema_command = *app.add_subcommand("schema", "Prints the JSON Schema of pipeline files, for editors");
  add_plugins(schema_command, plugins);
  schema_command.callback([&] { status = schema(plugins); });

  std::string from, to, model;
  int64_t heads = 0;
  CLI::App& export_command = *app.add_subcommand("export", "Writes an encoder's weights for timm");
  export_command.add_option("from", from, "A run directory, a checkpoint, or a file of weights (safetensors) in any known layout")->required();
  export_command.add_option("to", to, "FILE.safetensors")->required();
  export_command.add_option("--model", model, "Which model of the checkpoint; without it the teacher, or the student where there is none");
  export_command.add_option("--heads", heads, "Attention heads, where the width does not tell")->check(CLI::Range(1, 1024));
  export_command.callback([&] { status = export_weights(from, to, model, heads); });

  const int all_threads = static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
  IndexArgs index_args{.threads = all_threads};
  CLI::App& index_command = *app.add_subcommand("index", "Writes the index of tar shards, with which source.shards reads them");
  index_command.add_option("shards", index_args.shards, "Shards (.tar, .tar.zst), or folders of them")->required();
  index_command.add_option("-o,--out", index_args.out, "The index file; without it index.flowrun beside the first shard");
  add_labels(index_command, index_args.labels);
  add_work(index_command, index_args.threads, index_args.json, index_args.quiet);
  index_command.callback([&] { status = index_shards(index_args); });

  PackArgs pack_args{.threads = all_threads};
  CLI::App& pack_command = *app.add_subcommand("pack", "Writes a folder of images, or shards, as shards with an index, or as a folder");
  pack_command.add_option("paths", pack_args.paths, "FROM OUT: a folder of images, or shards and folders of them; and the new folder")
      ->required()
      ->expected(2, 1 << 20);
  pack_command.add_option("--to", pack_args.to, "What to write")->check(CLI::IsMember({"shards", "folder"}))->capture_default_str();
  pack_command.add_option("--shard-mib", pack_args.shard_mib, "Size that no shard exceeds, unless one image does")
      ->check(CLI::Range(1, 1 << 20))
      ->capture_default_str();
  pack_command.add_option("--resize", pack_args.resize, "Makes images smaller whose shortest side is longer, in pixels")->check(CLI::Range(1, 16384));
  pack_command.add_option("--quality", pack_args.quality, "Of the JPEG of a smaller image")->check(CLI::Range(1, 100))->capture_default_str();
  pack_command.add_option("--filter", pack_args.filter, "Of the resize")->check(CLI::IsMember({"bicubic", "bilinear"}))->capture_default_str();
  pack_command
      .add_option("--tiled", pack_args.tiled,
                  "Rewrites JPEGs, without a change of their pixels, so that crops decode faster: 16 (or N) tiles per row, or mcu for the smallest")
      ->expected(0, 1)
      ->default_str("16")
      ->check(CLI::IsMember({"mcu"}) | CLI::Range(1, 4096));
  pack_command.add_flag("--zstd", pack_args.zstd, "Compresses shards, each sample by itself (.tar.zst); JPEG hardly shrinks");
  add_labels(pack_command, pack_args.labels);
  add_work(pack_command, pack_args.threads, pack_args.json, pack_args.quiet);
  pack_command.callback([&] { status = pack(pack_args); });

  std::string folder;
  CLI::App& doc_command = *app.add_subcommand("doc", "Writes the pages of all types into a folder");
  doc_command.add_option("folder", folder)->required();
  add_plugins(doc_command, plugins);
  doc_command.callback([&] { status = doc(folder, plugins); });

  try {
    app.parse(arguments(argc, argv, app));
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : exit_pipeline;
  }
  return status;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return main_or_throw(argc, argv);
  } catch (const PipelineError& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return exit_pipeline;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "error: %s\n", error.what());
    return exit_failed;
  }
}
