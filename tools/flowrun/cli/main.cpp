#include <algorithm>
#include <cstdio>
#include <iostream>
#include <unistd.h>

#include "graph/context.h"
#include "graph/deadline.h"
#include "graph/error.h"
#include "graph/version.h"
#include "tools/flowrun/cli/options.h"
#include "tools/flowrun/run/signals.h"

namespace {

using namespace flowrun;
using namespace flowrun::tool;

const char* const about =
    "Trains vision models without labels; the training is a graph of nodes that a JSON file defines.\n"
    "  flowrun pretrain.json                         runs it\n"
    "  flowrun pretrain.json --set mask.regions=1    with one value changed\n"
    "  flowrun check pretrain.json                   finds every fault, runs nothing\n"
    "  flowrun help                                  the node types";

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
  add_run_commands(app, status);
  add_pipeline_commands(app, status);
  add_result_commands(app, status);
  add_data_commands(app, status);
  add_type_commands(app, status);
  try {
    app.parse(arguments(argc, argv, app));
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : exit_pipeline;
  }
  return status;
}

int status_of(int argc, char** argv) {
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

}  // namespace

int main(int argc, char** argv) {
  calm_signals();
  const int status = status_of(argc, argv);
  if (threads_left_behind()) {  // they may use what would be destroyed now
    std::cout.flush();
    std::fflush(nullptr);
    _exit(status);
  }
  return status;
}
