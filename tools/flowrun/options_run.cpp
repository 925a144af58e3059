// A pipeline that runs, or is measured.
#include "tools/flowrun/options.h"

namespace flowrun::tool {
namespace {

void add_run(CLI::App& app, int& status) {
  CLI::App& command =
      add_command(app, "run", "Runs a pipeline (the word run may be left out)", "flowrun pretrain.json --set mask.regions=1 --out runs/one");
  const auto args = std::make_shared<RunArgs>();
  add_pipeline(command, args->pipeline);
  command.add_option("--out", args->out, "Run directory; without it runs/NAME, or the next that is free");
  command.add_flag("--resume", args->resume, "Goes on from the newest complete checkpoint of the run directory");
  command.add_option("--threads", args->threads, "Data threads; results don't depend on it")->check(CLI::Range(1, 1024));
  command.add_flag("--serial", args->serial, "One thread, the same plan: the debugger");
  command.add_flag("--quiet", args->quiet, "No progress line");
  command.add_option("--trace", args->trace, "FILE.json: what every thread did when, for ui.perfetto.dev");
  command.add_option("--trace-calls", args->trace_calls, "How many calls of each thread the trace keeps, from the beginning")
      ->check(CLI::Range(1, 100'000'000))
      ->capture_default_str();
  // For tests: delays in the pool; and a share of the groups, without the exchange of gradients.
  command.add_option("--jitter", args->jitter)->group("");
  command.add_option("--rank", args->rank)->group("");
  command.add_option("--world", args->world)->group("");
  on_command(command, args, status, run);
}

void add_profile(CLI::App& app, int& status) {
  CLI::App& command = add_command(app, "profile", "Measures how many images a second the input side gives, and what bounds it",
                                  "flowrun profile pretrain.json --input-only --seconds 5");
  const auto args = std::make_shared<ProfileArgs>();
  add_pipeline(command, args->pipeline);
  command.add_flag("--input-only", args->input_only, "Only what runs on the host: source, sample and batch nodes; nothing is trained")->required();
  command.add_option("--source", args->source, "Which stream, by its source; without it the one that trains, or the only one");
  command.add_option("--threads", args->threads, "Data threads; without it run.threads")->check(CLI::Range(1, 1024));
  command.add_option("--seconds", args->seconds, "For how long")->check(CLI::Range(0.1, 1e6))->capture_default_str();
  add_json(command, args->json);
  // For tools/bench: exactly these images; and the upload, to compare batches of floats.
  command.add_option("--skip", args->skip)->group("");
  command.add_option("--images", args->images)->group("");
  command.add_flag("--upload", args->upload)->group("");
  on_command(command, args, status, profile);
}

}  // namespace

void add_run_commands(CLI::App& app, int& status) {
  add_run(app, status);
  add_profile(app, status);
}

}  // namespace flowrun::tool
