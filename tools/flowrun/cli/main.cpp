#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <new>
#include <unistd.h>

#include "graph/contract/context.h"
#include "graph/contract/deadline.h"
#include "graph/contract/version.h"
#include "graph/text/error.h"
#include "graph/text/json_text.h"
#include "tools/app/exit.h"
#include "tools/flowrun/cli/options.h"
#include "tools/flowrun/cli/signals.h"

namespace {

using namespace flowrun;
using namespace flowrun::app;
using namespace flowrun::cli;

const char* const about =
    "Trains vision models without labels. A JSON file defines the training as a graph of nodes.\n"
    "  flowrun quickstart                            a first run, of one to three minutes; needs no data\n"
    "  flowrun init data/pictures                    writes a pipeline for a folder of pictures\n"
    "  flowrun pretrain.json                         runs a file\n"
    "  flowrun pretrain.json --set mask.regions=1    with one value changed\n"
    "  flowrun check pretrain.json                   finds every fault, runs nothing\n"
    "  flowrun help                                  the node types";

/// Suggests a command for a word that is neither a command nor a file.
void refuse_misspelt_command(const std::string& word, const CLI::App& app) {
  std::error_code ignored;
  if (word.find_first_of("./") != std::string::npos || std::filesystem::exists(word, ignored)) return;
  std::vector<std::string> names;
  for (const CLI::App* command : app.get_subcommands([](const CLI::App*) { return true; })) names.push_back(command->get_name());
  throw PipelineError("error: there is no command and no file \"" + word + "\"\n  " + did_you_mean(word, names) +
                      "flowrun --help lists the commands");
}

/// `flowrun pretrain.json …` is short for `flowrun run pretrain.json …`.
std::vector<std::string> arguments(int argc, char** argv, const CLI::App& app) {
  std::vector<std::string> words(argv + 1, argv + argc);
  const auto commands = app.get_subcommands([](const CLI::App*) { return true; });
  const bool is_command = !words.empty() && std::any_of(commands.begin(), commands.end(), [&](const CLI::App* c) { return c->check_name(words[0]); });
  if (!words.empty() && !words[0].starts_with('-') && !is_command) {
    refuse_misspelt_command(words[0], app);
    words.insert(words.begin(), "run");
  }
  return {words.rbegin(), words.rend()};  // CLI11 takes them from the back
}

/// CLI11's message, with the option that may have been meant.
int wrong_words(const CLI::App& app, const CLI::ParseError& error) {
  const int status = app.exit(error) == 0 ? 0 : exit_pipeline;
  const std::string what = error.what();
  const size_t dashes = what.find("--");
  const auto commands = app.get_subcommands();
  if (status == 0 || dashes == std::string::npos || commands.empty()) return status;
  const std::string word = what.substr(dashes, what.find_first_of(" ,=:", dashes) - dashes);
  std::vector<std::string> options;
  for (const CLI::Option* option : commands[0]->get_options()) {
    for (const std::string& name : option->get_lnames()) options.push_back("--" + name);
  }
  if (std::find(options.begin(), options.end(), word) != options.end()) return status;
  if (const std::string hint = did_you_mean(word, options); !hint.empty()) std::fprintf(stderr, "  %s\n", hint.c_str());
  return status;
}

/// " (of what the command was given: runs/x)"
std::string named_file(int argc, char** argv) {
  std::error_code ignored;
  for (int i = 1; i < argc; ++i) {
    if (std::filesystem::exists(argv[i], ignored)) return std::string(" (what the command was given: ") + argv[i] + ")";
  }
  return "";
}

/// Without the parser's own words in brackets.
std::string plain_words(const std::exception& error) {
  const std::string text = error.what();
  const size_t end = text.find("] ");
  return as_utf8(text.starts_with("[json.exception") && end != std::string::npos ? text.substr(end + 2) : text);
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
  if (argc == 1) {
    std::printf("%s", app.help().c_str());
    return 0;
  }
  try {
    app.parse(arguments(argc, argv, app));
  } catch (const CLI::ParseError& error) {
    return wrong_words(app, error);
  }
  return status;
}

int status_of(int argc, char** argv) {
  try {
    return main_or_throw(argc, argv);
  } catch (const PipelineError& error) {
    std::fprintf(stderr, "%s\n", as_utf8(error.what()).c_str());
    return exit_pipeline;
  } catch (const std::bad_alloc&) {
    std::fprintf(stderr, "error: out of memory: something asked for more than the machine, or its limit, has\n");
    return exit_failed;
  } catch (const nlohmann::json::exception& error) {
    std::fprintf(stderr, "error: a JSON file has unexpected contents%s: %s\n", named_file(argc, argv).c_str(), plain_words(error).c_str());
    return exit_failed;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "error: %s\n", as_utf8(error.what()).c_str());
    return exit_failed;
  }
}

/// Whether a tool, such as NVIDIA's profilers, has put code into this process, which may work when it exits.
bool is_observed() {
  for (const char* name : {"LD_PRELOAD", "CUDA_INJECTION64_PATH", "NVTX_INJECTION64_PATH"}) {
    if (std::getenv(name) != nullptr) return true;
  }
  return false;
}

/// Runs before the libraries' own initialisers, which take part of a second: SIGUSR1 may come meanwhile.
__attribute__((section(".preinit_array"), used)) void (*const before_all)() = calm_signals;

}  // namespace

int main(int argc, char** argv) {
  const int status = status_of(argc, argv);
  std::cout.flush();
  std::fflush(nullptr);
  // Without the libraries' destructors: LibTorch's take a quarter of a second, and threads left behind may use what they destroy.
  // Profilers write their files in theirs.
  if (threads_left_behind() || !is_observed()) _exit(status);
  return status;
}
