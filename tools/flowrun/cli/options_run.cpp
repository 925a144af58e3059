// Commands that run or measure a pipeline.
#include "tools/app/load/shipped.h"
#include "tools/app/run/run.h"
#include "tools/app/speed/advise.h"
#include "tools/app/speed/profile.h"
#include "tools/app/sweep/sweep.h"
#include "tools/flowrun/cli/commands.h"
#include "tools/flowrun/cli/options.h"
#include "tools/flowrun/cli/top.h"

namespace flowrun::cli {
namespace {

using namespace app;

void add_run_options(CLI::App& command, const std::shared_ptr<RunArgs>& args) {
  command.add_option("--out", args->out, "Run directory; without it runs/NAME, or the next that is free");
  command.add_flag("--resume", args->resume, "Continues from the newest complete checkpoint of the run directory");
  command.add_flag("--accept-changed-data", args->accept_changed_data,
                   "With --resume: continues although the data have changed. The epoch in progress begins again with the new data, steps go on "
                   "counting, and schedules never go back");
  command.add_option("--threads", args->threads, "Data threads; results don't depend on it")->check(CLI::Range(1, 1024));
  command.add_flag("--serial", args->serial, "Runs the same plan on one thread, for debugging");
  command.add_flag("--quiet", args->quiet, "No progress line");
  command.add_option("--prometheus", args->prometheus, "Port at which http://127.0.0.1:PORT/metrics has the run's numbers for Prometheus")
      ->check(CLI::Range(1, 65535));
  command.add_option("--trace", args->trace, "FILE.json: what every thread did when, for ui.perfetto.dev");
  command.add_option("--trace-calls", args->trace_calls, "How many calls of each thread the trace keeps, from the beginning")
      ->check(CLI::Range(1, 100'000'000))
      ->capture_default_str();
  // For tests: delays in the pool; and a share of the groups, without the exchange of gradients.
  command.add_option("--jitter", args->jitter)->group("");
  command.add_option("--rank", args->rank)->group("");
  command.add_option("--world", args->world)->group("");
}

void add_run(CLI::App& app, int& status) {
  CLI::App& command =
      add_command(app, "run", "Runs a pipeline (the word run may be left out)", "flowrun pretrain.json --set mask.regions=1 --out runs/one");
  const auto args = std::make_shared<RunArgs>();
  add_pipeline(command, args->pipeline);
  add_run_options(command, args);
  on_command(command, args, status, run);
}

void add_quickstart(CLI::App& app, int& status) {
  CLI::App& command = add_command(app, "quickstart", "Runs the shipped quickstart.json: pretrains on drawn pictures and evaluates the features",
                                  "flowrun quickstart --set run.epochs=2");
  const auto args = std::make_shared<RunArgs>();
  add_set(command, args->pipeline);
  add_run_options(command, args);
  on_command(command, args, status, [](RunArgs& of) {
    of.pipeline.file = pipeline_named("shipped:quickstart.json");
    return run(of);
  });
}

void add_stubs(CLI::App& command, std::vector<std::string>& stubs) {
  command
      .add_option_function<std::vector<std::string>>(
          "--stub",
          [&stubs](const std::vector<std::string>& words) {
            for (const std::string& word : words) stubs.push_back(word.ends_with("=record") ? word.substr(0, word.size() - 7) : word);
          },
          "NODE=record: the node replays its first output; nodes that feed only it do not run. Shows how fast the others could be; may be repeated")
      ->allow_extra_args(false);
}

void add_profile(CLI::App& app, int& status) {
  CLI::App& command = add_command(app, "profile", "Runs a pipeline for a while and says where its time goes, what limits it, and what to change",
                                  "flowrun profile pretrain.json --seconds 30");
  const auto args = std::make_shared<ProfileArgs>();
  add_pipeline(command, args->pipeline);
  command.add_flag("--input-only", args->input_only, "Only what runs on the host: source, sample and batch nodes; nothing is trained");
  command.add_option("--source", args->source,
                     "With --input-only: which stream, named by its source; without it the one that trains, or the only one");
  command.add_option("--threads", args->threads, "Data threads; without it run.threads")->check(CLI::Range(1, 1024));
  command.add_option("--seconds", args->seconds, "For how long, after warming up")->check(CLI::Range(0.1, 1e6))->capture_default_str();
  command.add_option("--steps", args->steps, "For how many steps; without it by time")->check(CLI::Range(1, 1'000'000'000));
  add_stubs(command, args->stubs);
  command.add_flag("--leaks", args->leaks, "Also finds nodes whose memory grows: counts what each node allocates, which slows the run");
  add_json(command, args->json);
  // For tools/bench: exactly these images; and the upload, to compare batches of floats.
  command.add_option("--skip", args->skip)->group("");
  command.add_option("--images", args->images)->group("");
  command.add_flag("--upload", args->upload)->group("");
  on_command(command, args, status, profile);
}

/// What a sweep compares, and how.
void add_sweep_question(CLI::App& command, SweepArgs& args) {
  command
      .add_option("sweep", args.files,
                  "Sweep file (JSON): base, set, variants, grid, zip, seeds; or pipelines (shipped:FILE.json, too), and folders of them")
      ->required();
  command.add_option("--seeds", args.seeds, "Every variant runs with each: a count (3: the seeds 0, 1, 2) or a list (0,1,5)");
  command.add_option("--set", args.sets, "PATH=VALUE, for every run; may be repeated")->allow_extra_args(false);
  command.add_option("--baseline", args.baseline, "The variant that the others are compared with. Default: the first");
  command.add_option("--decide", args.decide,
                     "The metric that decides, such as knn.accuracy or loss; without it the first evaluation's accuracy, or miou, or the loss");
  command.add_option("--goal", args.goal, "Whether higher or lower values of the metric are better: max or min. Default: told from its name")
      ->check(CLI::IsMember({"max", "min"}));
  command
      .add_option("--difference", args.difference,
                  "The smallest difference of the metric that matters, in its own unit (0.005 is half a point of an accuracy)")
      ->check(above_0);
}

void add_sweep(CLI::App& app, int& status) {
  CLI::App& command = add_command(app, "sweep", "Runs variants of a pipeline over seeds, prints a table, and says which is better",
                                  "flowrun sweep masks.json --seeds 3 --out runs/masks");
  const auto args = std::make_shared<SweepArgs>();
  add_sweep_question(command, *args);
  command.add_option("--out", args->out,
                     "Folder of the run directories; without it runs/NAME. Finished runs there do not run again; stopped runs continue");
  command.add_option("--threads", args->threads, "Data threads; results don't depend on it")->check(CLI::Range(1, 1024));
  CLI::Option* const share =
      command.add_flag("--share", args->share,
                       "Runs variants with the same nodes from the source to the stack side by side in one process: images are read, decoded and "
                       "stacked once for all of them. Results equal those of separate runs. Without it variants run one after the other");
  command.add_option("--memory", args->memory_mib, "With --share: MiB for the runs side by side; without it what is free")
      ->check(CLI::Range(1, 1'000'000'000))
      ->needs(share);
  command.add_option("--minutes", args->minutes, "Starts no run after this many minutes; running ones finish")->check(above_0);
  CLI::Option* const report = command.add_flag("--report", args->report, "Runs nothing: the table of what is done so far");
  command.add_option("--cells", args->cells,
                     "JSON lines of finished runs, to be kept under version control: these runs are not repeated, and new ones are appended");
  CLI::Option* const only =
      command
          .add_option("--only", args->only,
                      "Runs only the run with this number, from 0, while other processes run the others: a task of an array job")
          ->excludes(report)
          ->excludes(share);
  CLI::Option* const slurm = command.add_option("--slurm", args->slurm, "Runs nothing: writes the script of a Slurm array job, a task for each run")
                                 ->excludes(report)
                                 ->excludes(share)
                                 ->excludes(only);
  command.add_option("--at-once", args->at_once, "With --slurm: how many tasks may run at the same time")->check(CLI::Range(1, 10'000))->needs(slurm);
  command.add_flag("--quiet", args->quiet, "No progress line");
  add_json(command, args->json);
  add_trust(command, args->trust);
  command.add_option("--together", args->together)->delimiter(',')->group("");  // the process that --share starts
  on_command(command, args, status, sweep);
}

void add_top(CLI::App& app, int& status) {
  CLI::App& command = add_command(app, "top", "Shows what a run is doing: what each thread works on or waits for", "flowrun top runs/pretrain");
  const auto args = std::make_shared<TopArgs>();
  command.add_option("run", args->run, "Run directory of a process on this machine")->required();
  command.add_option("--every", args->every, "Seconds between updates, on a terminal")->check(CLI::Range(0.1, 3600.0))->capture_default_str();
  command.add_flag("--once", args->once, "Prints the state once, as it does when the output is not a terminal");
  add_json(command, args->json);
  on_command(command, args, status, top);
}

void add_advise(CLI::App& app, int& status) {
  CLI::App& command = add_command(app, "advise", "Forecasts a pipeline's speed with other cores, threads or devices, from measured service times",
                                  "flowrun advise pretrain.json --cores 16 --device-scale 2");
  const auto args = std::make_shared<AdviseArgs>();
  add_pipeline(command, args->pipeline);
  command.get_option("pipeline")->description("Pipeline file (JSON), or a run directory");
  command.add_option("--cores", args->cores, "Cores of the machine to forecast; data threads grow with them")->check(CLI::Range(1.0, 4096.0));
  command.add_option("--data-threads", args->data_threads, "Data threads of that machine")->check(CLI::Range(1.0, 4096.0));
  command.add_option("--device-scale", args->device_scale, "Speed of that machine's device, as a multiple of the measured one's")
      ->check(CLI::Range(0.01, 1000.0));
  command.add_option("--groups", args->groups, "Number of groups of a batch")->check(CLI::Range(1, 1'000'000));
  command.add_flag("--measure", args->measure, "Measures even if the run directory has statistics");
  command.add_option("--threads", args->threads, "Data threads of the measurement; without it run.threads")->check(CLI::Range(1, 1024));
  command.add_option("--seconds", args->seconds, "For how long to measure")->check(CLI::Range(0.5, 1e6))->capture_default_str();
  command.add_flag("--verify", args->verify, "Also tries throttled variants, and compares them with their forecasts");
  add_json(command, args->json);
  on_command(command, args, status, advise);
}

}  // namespace

void add_run_commands(CLI::App& app, int& status) {
  add_run(app, status);
  add_quickstart(app, status);
  add_sweep(app, status);
  add_top(app, status);
  add_profile(app, status);
  add_advise(app, status);
}

}  // namespace flowrun::cli
