// Commands after a run, on its results.
#include "tools/app/embed/embed.h"
#include "tools/app/embed/look.h"
#include "tools/app/replay/replay.h"
#include "tools/app/replay/verify.h"
#include "tools/app/weights/hub.h"
#include "tools/flowrun/cli/commands.h"
#include "tools/flowrun/cli/options.h"
#include "tools/flowrun/cli/report.h"
#include "tools/flowrun/cli/web.h"

namespace flowrun::cli {
namespace {

using namespace app;

void add_export(CLI::App& app, int& status) {
  CLI::App& command = add_command(app, "export", "Writes an encoder's weights for timm, as a file or as a folder with a model card",
                                  "flowrun export runs/pretrain encoder.safetensors");
  const auto hub = std::make_shared<HubArgs>();
  ExportArgs* const args = &hub->weights;
  command.add_option("from", args->from, "A run directory, a checkpoint, or a file of weights (safetensors) in any known layout")->required();
  command
      .add_option("to", args->to,
                  "FILE.safetensors, or a folder, which also gets config.json for timm.create_model(\"local-dir:FOLDER\"), README.md, and the run's "
                  "other models")
      ->required();
  command.add_option("--model", args->model, "Which model of the checkpoint; without it the teacher, or the student where there is none");
  command.add_flag("--best", args->best, "Of a run whose report.checkpoint has best: the checkpoint that the evaluation found best, not the newest");
  command.add_option("--heads", args->heads, "Number of attention heads, where the width does not determine it")->check(CLI::Range(1, 1024));
  command.add_flag("--allow-partial", args->allow_partial,
                   "Writes the encoder even when the file lacks some of its weights, which keep their initial values, or has others");
  command.add_option("--licence", hub->licence, "For the folder's model card: an identifier such as apache-2.0");
  command.add_flag("--onnx", hub->onnx,
                   "Writes model.onnx into the folder, too, and checks it with ONNX Runtime; needs Python with timm, onnxscript and onnxruntime");
  command.add_flag("--pt2", hub->pt2, "Writes model.pt2 into the folder, too: a program of torch.export; needs Python with timm");
  add_json(command, args->json);
  on_command(command, hub, status, export_weights);
}

void add_embed(CLI::App& app, int& status) {
  CLI::App& command =
      add_command(app, "embed", "Writes features of pictures from a trained encoder: class token, patch mean, or tokens of any block",
                  "flowrun embed runs/pretrain data/birds birds.npy\n"
                  "  flowrun embed vit_small_patch14_dinov2.safetensors data/birds birds.parquet --what cls --size 224\n"
                  "  flowrun embed runs/pretrain data/birds tokens.safetensors --what tokens --block 6,12 --half\n"
                  "  torchrun --no-python --nproc-per-node 8 flowrun embed runs/pretrain data/imagenet imagenet.npy --projector projector");
  const auto args = std::make_shared<EmbedArgs>();
  command
      .add_option("weights", args->weights,
                  "A run directory, a checkpoint or a file in it; or a file of weights (safetensors) that model.pretrained reads; or a folder with "
                  "model.safetensors and config.json, as flowrun export and timm make it")
      ->required();
  command
      .add_option("data", args->data,
                  "A folder of pictures, or of class folders; a list (.txt, .csv, .tsv) of some of a folder's; shards with their index, or Parquet "
                  "files, also the URL of either")
      ->required();
  command.add_option("out", args->out, "OUT.npy, OUT.safetensors or OUT.parquet (by pyarrow): a row for each picture, in the order of the data")
      ->required();
  command.add_option("--model", args->model,
                     "Which encoder of the run; without it that of its evaluations, else the teacher, the student, the only one");
  CLI::Option* const step = command.add_option("--step", args->step, "Which checkpoint of the run; without it the newest")->check(above_0);
  command.add_flag("--best", args->best, "The checkpoint that an evaluation found best (best of report.checkpoint)")->excludes(step);
  command
      .add_option("--what", args->what,
                  "cls: the class token. mean: of the patches. cls_mean: both. tokens: all, class token and registers first. Without it as the run's "
                  "evaluations or config.json have it, else mean")
      ->check(CLI::IsMember({"cls", "mean", "cls_mean", "tokens"}));
  command
      .add_option(
          "--block", args->blocks,
          "Writes the outputs of these blocks of a vision transformer, counted from 1, in place of the final norm's: 6 or 4,8,12, side by side")
      ->delimiter(',')
      ->check(above_0);
  command.add_option("--size", args->size, "Side of the pictures, pixels, for a file of weights; positions are resampled")
      ->check(CLI::Range(1, 16384));
  command.add_option("--batch", args->batch, "Pictures at once; without it as the run's evaluations, else 64")->check(CLI::Range(1, 1'000'000));
  command.add_flag("--half", args->half, "Numbers of 16 bits (float16)");
  add_data_kind(command, args->as);
  command.add_option("--folder", args->folder, "The folder that a list's paths are in; without it the list's own");
  command.add_flag("--no-labels", args->no_labels, "Class folders are folders alone");
  command.add_option("--projector", args->projector,
                     "A folder for TensorBoard's projector: tensors.tsv, metadata.tsv, sprite.png, projector_config.pbtxt");
  command.add_flag("--again", args->again, "Replaces existing files. Default: the same command continues where it stopped");
  command.add_flag("--print", args->print, "Prints the pipeline, and does not run it");
  command
      .add_option("--set", args->sets,
                  "PATH=VALUE: changes one value of that pipeline (run.precision=bf16, run.device=cpu, models.encoder.heads=6, "
                  "upload.mean=[0.5,0.5,0.5]); may be repeated")
      ->allow_extra_args(false);
  command.add_option("--threads", args->threads, "Data threads; results don't depend on it")->check(CLI::Range(1, 1024));
  command.add_flag("--quiet", args->quiet, "No progress line");
  add_trust(command, args->trust);
  add_json(command, args->json);
  on_command(command, args, status, embed);
}

void add_look(CLI::App& app, int& status) {
  CLI::App& command = add_command(app, "look", "Writes a page that shows the features of some pictures: colours, similarities, attention, neighbours",
                                  "flowrun look runs/pretrain data/birds -o birds.html\n"
                                  "  flowrun look vit_small_patch14_dinov2.safetensors data/birds --size 448 --count 8");
  const auto args = std::make_shared<LookArgs>();
  EmbedArgs* const from = &args->from;
  command.add_option("weights", from->weights, "A run directory, a checkpoint, or weights, as flowrun embed takes them")->required();
  command.add_option("images", from->data, "A folder of pictures, or of class folders; a list; shards; Parquet files, as flowrun embed takes them")
      ->required();
  command.add_option("-o,--out", args->out, "The page, one file")->capture_default_str();
  command.add_option("--count", args->count, "Pictures shown, evenly spread over all that can be decoded")
      ->check(CLI::Range(1, 64))
      ->capture_default_str();
  command.add_option("--neighbours", args->neighbours, "Nearest pictures shown of each, of all")->check(CLI::Range(1, 20))->capture_default_str();
  command.add_option("--model", from->model,
                     "Which encoder of the run; without it that of its evaluations, else the teacher, the student, the only one");
  CLI::Option* const step = command.add_option("--step", from->step, "Which checkpoint of the run; without it the newest")->check(above_0);
  command.add_flag("--best", from->best, "The checkpoint that an evaluation found best (best of report.checkpoint)")->excludes(step);
  command.add_option("--size", from->size, "Side of the pictures, pixels, for a file of weights; positions are resampled")
      ->check(CLI::Range(1, 16384));
  command.add_option("--batch", from->batch, "Pictures at once; without it as the run's evaluations, else 64")->check(CLI::Range(1, 1'000'000));
  add_data_kind(command, from->as);
  command.add_option("--folder", from->folder, "The folder that a list's paths are in; without it the list's own");
  command.add_flag("--no-labels", from->no_labels, "Class folders are folders alone");
  command.add_option("--set", from->sets, "PATH=VALUE: changes one value of the pipelines that run, as of flowrun embed; may be repeated")
      ->allow_extra_args(false);
  command.add_option("--threads", from->threads, "Data threads; results don't depend on it")->check(CLI::Range(1, 1024));
  command.add_flag("--quiet", from->quiet, "No progress line");
  add_trust(command, from->trust);
  add_json(command, from->json);
  on_command(command, args, status, look);
}

void add_replay(CLI::App& app, int& status) {
  CLI::App& command = add_command(app, "replay", "Shows how a run processed a sample: shapes, hashes, crop, masks, a picture",
                                  "flowrun replay runs/pretrain --sample 812 --epoch 3 --png sample.png");
  const auto args = std::make_shared<ReplayArgs>();
  command.add_option("run", args->run, "Run directory")->required();
  command.add_option("--sample", args->sample, "Its index in the source, or the file as messages name it")->required();
  command.add_option("--epoch", args->epoch, "The epoch, from 0 on, as in quarantine.jsonl")->required()->check(CLI::NonNegativeNumber);
  command.add_option("--node", args->node,
                     "Shows this source, sample or batch node and all before it; without it the last sample nodes, and the masks");
  command.add_option("--png", args->png, "FILE.png: the picture with its crop, the view, and what is masked");
  command.add_option("--threads", args->threads, "Data threads, for the ledger of the step")->check(CLI::Range(1, 1024));
  add_trust(command, args->trust);
  add_json(command, args->json);
  on_command(command, args, status, replay);
}

void add_verify(CLI::App& app, int& status) {
  CLI::App& command = add_command(app, "verify", "Repeats steps of a run on the host and compares their ledgers with its metrics",
                                  "flowrun verify runs/pretrain --steps 100:200");
  const auto args = std::make_shared<VerifyArgs>();
  command.add_option("run", args->run, "Run directory")->required();
  CLI::Option* step = command.add_option("--step", args->step, "Only this step")->check(above_0);
  command.add_option("--steps", args->steps, "FIRST:LAST, the reported steps among these; without it five, spread over the run")->excludes(step);
  command.add_option("--threads", args->threads, "Data threads; results don't depend on it")->check(CLI::Range(1, 1024));
  add_trust(command, args->trust);
  add_json(command, args->json);
  on_command(command, args, status, verify);
}

void add_report(CLI::App& app, int& status) {
  CLI::App& command =
      add_command(app, "report", "Writes a page about a run's course and results; the run may still be going", "flowrun report runs/pretrain");
  const auto args = std::make_shared<ReportArgs>();
  command.add_option("run", args->run, "Run directory")->required();
  command.add_option("-o,--out", args->out, "FILE.html; without it report.html in the run directory");
  add_trust(command, args->trust);
  add_json(command, args->json);
  on_command(command, args, status, report);
}

void add_web(CLI::App& app, int& status) {
  CLI::App& command = add_command(
      app, "web", "Shows all runs of a folder in a browser of this machine: curves, evaluations, differences, graphs, pictures", "flowrun web runs");
  const auto args = std::make_shared<WebArgs>();
  command.add_option("runs", args->runs, "Folder with run directories, at any depth")->capture_default_str();
  command.add_option("--port", args->port, "Port on 127.0.0.1; if it is taken, another one is used and printed")
      ->check(CLI::Range(1, 65535))
      ->capture_default_str();
  command.add_flag("--open", args->open, "Opens the page in the browser");
  on_command(command, args, status, web);
}

}  // namespace

void add_result_commands(CLI::App& app, int& status) {
  add_export(app, status);
  add_embed(app, status);
  add_look(app, status);
  add_replay(app, status);
  add_verify(app, status);
  add_report(app, status);
  add_web(app, status);
}

}  // namespace flowrun::cli
