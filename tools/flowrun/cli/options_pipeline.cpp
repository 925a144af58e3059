// Commands before a run, on pipelines.
#include <algorithm>

#include "graph/contract/device.h"
#include "tools/app/begin/init.h"
#include "tools/app/draw/draw.h"
#include "tools/app/draw/masks.h"
#include "tools/app/plan/devices.h"
#include "tools/app/plan/plan.h"
#include "tools/flowrun/cli/check.h"
#include "tools/flowrun/cli/commands.h"
#include "tools/flowrun/cli/diff.h"
#include "tools/flowrun/cli/import.h"
#include "tools/flowrun/cli/options.h"

namespace flowrun::cli {
namespace {

using namespace app;

void add_init(CLI::App& app, int& status) {
  CLI::App& command =
      add_command(app, "init", "Writes a pipeline for a folder of pictures: examines some of them and gives the reason for each number",
                  "flowrun init data/birds\n"
                  "  flowrun init data/birds --hours 8 -o birds.json\n"
                  "  flowrun init data/scans --device h100 --gpus 4 --arch s");
  const auto args = std::make_shared<InitArgs>();
  std::vector<std::string> names = device_names();
  for (const DeviceRuntime* kind : flowrun::devices()) {
    const std::string& name = kind->info().name;
    if (std::find(names.begin(), names.end(), name) == names.end()) names.insert(names.begin(), name);
  }
  command
      .add_option("data", args->data,
                  "A folder of pictures, or of class folders; a folder that holds train and val (or test); a list (.txt, .csv, .tsv); shards with "
                  "their index, or Parquet files, also the URL of either")
      ->required();
  command.add_option("-o,--out", args->out, "The file to write. Default: NAME.json, named after the folder");
  command.add_flag("--overwrite", args->overwrite, "Replaces a file that is there");
  command.add_option("--device", args->device, "The device to train on. Default: this machine's")->check(CLI::IsMember(names));
  command.add_option("--gpus", args->gpus, "How many GPUs share the work")->check(CLI::Range(1, 65536));
  command.add_option("--hours", args->wishes.hours, "Hours that training may take at the assumed speed; limits the epochs. Default on a CPU: 1")
      ->check(CLI::Range(0.01, 1e5));
  command.add_option("--epochs", args->wishes.epochs, "Number of epochs, instead of the rule's")->check(above_0);
  command.add_option("--size", args->wishes.size, "Side of the views, pixels")->check(CLI::Range(10, 4096));
  command.add_option("--patch", args->wishes.patch, "Side of a patch, pixels")->check(CLI::Range(1, 1024));
  command.add_option("--arch", args->wishes.arch, "Size of the vision transformer")->check(CLI::IsMember({"ti", "s", "b", "l"}));
  command.add_option("--look", args->pictures, "Number of pictures to examine, spread over all")->check(CLI::Range(1, 1'000'000));
  add_data_kind(command, args->as);
  command.add_flag("--vscode", args->vscode, "Writes .vscode/settings.json beside the file: the editor completes and checks it");
  add_json(command, args->json);
  on_command(command, args, status, init);
}

void add_check(CLI::App& app, int& status) {
  CLI::App& command = add_command(app, "check", "Finds every fault of a pipeline; runs nothing", "flowrun check pretrain.json");
  const auto args = std::make_shared<CheckArgs>();
  add_pipeline(command, args->pipeline);
  add_json(command, args->json);
  on_command(command, args, status, check);
}

void add_expand(CLI::App& app, int& status) {
  CLI::App& command = add_command(app, "expand", "Prints the resolved pipeline: every default filled in, itself runnable",
                                  "flowrun expand pretrain.json --set seed=3 > complete.json");
  const auto args = std::make_shared<PipelineArgs>();
  add_pipeline(command, *args);
  on_command(command, args, status, expand);
}

void add_import(CLI::App& app, int& status) {
  CLI::App& command =
      add_command(app, "import", "Writes a pipeline from a configuration of I-JEPA, MAE, DINOv2 or solo-learn; reports keys without a counterpart",
                  "flowrun import in1k_vith14_ep300.yaml -o mine.json --gpus 16\n"
                  "  flowrun import pretrain.sh -o mine.json --data data/imagenet\n"
                  "  flowrun import vitl16_short.yaml -o mine.json --gpus 32 --pictures 1281167");
  const auto args = std::make_shared<ImportArgs>();
  command
      .add_option("file", args->file,
                  "The configuration: YAML or JSON; of MAE also a command line, or what it prints of its arguments. -: standard input")
      ->required();
  command.add_option("-o,--out", args->out, "FILE.json; without it the pipeline is printed");
  command.add_flag("--overwrite", args->overwrite, "Replaces a file that is there");
  command.add_option("--from", args->project, "The project that the configuration is of. Default: told from its keys")
      ->check(CLI::IsMember({"ijepa", "mae", "dinov2", "solo-learn"}));
  command.add_option("--data", args->data, "A folder with train and val, in place of the file's");
  command.add_option("--gpus", args->gpus, "Number of GPUs of the original run, whose batches are given per GPU. Default: the file's number, else 1")
      ->check(above_0);
  command
      .add_option("--pictures", args->pictures,
                  "Pictures of the training set, where lengths are given in steps (DINOv2); without it ImageNet's 1281167")
      ->check(above_0);
  command.add_option("--set", args->sets, "PATH=VALUE: sets one more value of the pipeline, after those of the file; may be repeated")
      ->allow_extra_args(false);
  add_json(command, args->json);
  on_command(command, args, status, import_configuration);
}

void add_diff(CLI::App& app, int& status) {
  CLI::App& command = add_command(app, "diff", "Compares two pipelines: what differs, and what stays the same (samples, crops, masks, weights)",
                                  "flowrun diff pretrain.json ablation.json --speed 20");
  const auto args = std::make_shared<DiffArgs>();
  add_file(command, "a", args->a.file, "Pipeline file (JSON); shipped:FILE.json, one that comes with the program");
  add_file(command, "b", args->b.file, "The second pipeline; may be the same file, with --set");
  command.add_option("--set", args->b.sets, "PATH=VALUE: changes one value of the second pipeline; may be repeated")->allow_extra_args(false);
  command.add_option("--speed", args->seconds, "Also measures the speed of both, in turns, for this many seconds in all")
      ->check(CLI::Range(1.0, 1e6));
  add_json(command, args->json);
  on_command(command, args, status, diff);
}

void add_draw(CLI::App& app, int& status) {
  CLI::App& command = add_command(app, "draw", "Draws the graph; for a run's directory, with each node's share of the time",
                                  "flowrun draw pretrain.json -o pretrain.svg");
  const auto args = std::make_shared<DrawArgs>();
  add_pipeline(command, args->pipeline);
  command.add_option("-o,--out", args->out, "FILE.svg, or FILE.dot for Graphviz; without it DOT is printed");
  command.add_flag("--plan", args->plan, "Prints the engine's plan in words: slots, tasks, orders")
      ->excludes(command.add_flag("--json", args->json, "Nodes and edges as JSON"));
  on_command(command, args, status, draw);
}

void add_mask_report(CLI::App& app, int& status) {
  CLI::App& command = add_command(app, "mask-report", "Draws the masks of a pipeline, without images, and prints their statistics",
                                  "flowrun mask-report pretrain.json -o masks.svg");
  const auto args = std::make_shared<MaskReportArgs>();
  add_pipeline(command, args->pipeline);
  command.add_option("--groups", args->groups, "How many groups to draw")->check(CLI::Range(1, 1'000'000))->capture_default_str();
  command.add_option("--node", args->node, "Which mask node, where there are several");
  command.add_option("--size", args->size, "Side of the images in pixels, where the pipeline doesn't say")->check(CLI::Range(1, 16384));
  add_json(command, args->json);
  command.add_option("-o,--out", args->out, "FILE.svg for a picture too");
  on_command(command, args, status, mask_report);
}

void add_plan(CLI::App& app, int& status) {
  CLI::App& command = add_command(app, "plan", "Forecasts a run on any number of machines: shapes, memory, input, exchange, time; runs nothing",
                                  "flowrun plan pretrain.json --world 64 --device h100 --set batch.group=32");
  const auto args = std::make_shared<PlanArgs>();
  const auto above_0 = CLI::Range(1e-6, 1e12);
  add_pipeline(command, args->pipeline);
  command.get_option("pipeline")->description("Pipeline file (JSON), or a run directory, whose statistics are taken");
  command.add_option("--world", args->world, "How many ranks, each with a device of its own")->check(CLI::Range(1, 1'000'000))->capture_default_str();
  command.add_option("--device", args->device, "Device to plan for")->check(CLI::IsMember(device_names()))->capture_default_str();
  command.add_option("--utilisation", args->utilisation, "Share of the device's peak that a pass reaches")
      ->check(CLI::Range(0.001, 1.0))
      ->capture_default_str();
  command.add_option("--device-rate", args->device_rate, "Images a second that one device trains on; replaces peak and utilisation")->check(above_0);
  command.add_option("--per-node", args->per_node, "Devices per machine. Default: as the device's maker builds it")->check(CLI::Range(1, 1024));
  command.add_option("--bandwidth", args->bandwidth, "GB/s that a rank sends while gradients are exchanged; without it the device's links")
      ->check(above_0);
  command.add_option("--latency", args->latency, "Microseconds of a message between two processes, for the agreement at the end of a step")
      ->check(CLI::Range(0.0, 1e6))
      ->capture_default_str();
  command.add_option("--images", args->images, "Images of the source; without it they are counted in the data")
      ->check(CLI::Range(int64_t{1}, int64_t{1} << 53));
  command.add_option("--file-kib", args->file_kib, "Mean size of a file; without it the mean of some that are read")->check(above_0);
  command.add_option("--cores-ms", args->cores_ms, "Milliseconds that an image takes on a core of the host")->check(above_0);
  command.add_option("--cores", args->cores, "Cores of a machine for data. Default: as many as its maker builds in")->check(above_0);
  command.add_option("--storage", args->storage, "MB/s that a machine can read. Default: no limit by storage")->check(above_0);
  add_json(command, args->json);
  on_command(command, args, status, plan);
}

}  // namespace

void add_pipeline_commands(CLI::App& app, int& status) {
  add_init(app, status);
  add_check(app, status);
  add_expand(app, status);
  add_import(app, status);
  add_diff(app, status);
  add_draw(app, status);
  add_mask_report(app, status);
  add_plan(app, status);
}

}  // namespace flowrun::cli
