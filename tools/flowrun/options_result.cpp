// After a run: what came of it.
#include "tools/flowrun/options.h"

namespace flowrun::tool {
namespace {

void add_export(CLI::App& app, int& status) {
  CLI::App& command = add_command(app, "export", "Writes an encoder's weights for timm", "flowrun export runs/pretrain encoder.safetensors");
  const auto args = std::make_shared<ExportArgs>();
  command.add_option("from", args->from, "A run directory, a checkpoint, or a file of weights (safetensors) in any known layout")->required();
  command.add_option("to", args->to, "FILE.safetensors")->required();
  command.add_option("--model", args->model, "Which model of the checkpoint; without it the teacher, or the student where there is none");
  command.add_option("--heads", args->heads, "Attention heads, where the width does not tell")->check(CLI::Range(1, 1024));
  on_command(command, args, status, export_weights);
}

void add_report(CLI::App& app, int& status) {
  CLI::App& command =
      add_command(app, "report", "Writes a page of what a run did and found, also of one that goes on", "flowrun report runs/pretrain");
  const auto args = std::make_shared<ReportArgs>();
  command.add_option("run", args->run, "Run directory")->required();
  command.add_option("-o,--out", args->out, "FILE.html; without it report.html in the run directory");
  on_command(command, args, status, report);
}

}  // namespace

void add_result_commands(CLI::App& app, int& status) {
  add_export(app, status);
  add_report(app, status);
}

}  // namespace flowrun::tool
