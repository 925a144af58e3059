// The command line: one function per chapter adds its subcommands. Only these files include CLI11.
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

#include "tools/app/load/load.h"

namespace flowrun::cli {

void add_pipeline_commands(CLI::App& app, int& status);  // before a run: check, expand, draw, …
void add_run_commands(CLI::App& app, int& status);       // run, profile
void add_result_commands(CLI::App& app, int& status);    // after a run: export
void add_data_commands(CLI::App& app, int& status);      // index, pack
void add_type_commands(CLI::App& app, int& status);      // help, schema, doc

struct CompletionArgs {
  std::string shell;       // bash, zsh or fish
  std::string file, word;  // with a file: what a --set that begins so can become is printed, and no script
};

/// Prints a completion script of all the words of `app` for a shell.
int completion(const CLI::App& app, const CompletionArgs& args);

/// A subcommand whose --help ends with an example.
CLI::App& add_command(CLI::App& app, const std::string& name, const std::string& about, const std::string& example);
/// Sets the function to run for the subcommand. `args` live as long as the command.
template <class Args, class Run>
void on_command(CLI::App& command, std::shared_ptr<Args> args, int& status, Run run) {
  command.callback([args, run, &status] { status = run(*args); });
}

/// A required pipeline file; shipped:FILE.json becomes the path of one that comes with the program.
void add_file(CLI::App& command, const std::string& name, std::string& file, const std::string& about);
void add_pipeline(CLI::App& command, app::PipelineArgs& args);
/// --as, for a command that reads data of any kind.
void add_data_kind(CLI::App& command, std::string& kind);
/// --set alone, for a command that knows its pipeline.
void add_set(CLI::App& command, app::PipelineArgs& args);
void add_trust(CLI::App& command, bool& trust);
void add_plugins(CLI::App& command, std::vector<std::string>& plugins);
void add_json(CLI::App& command, bool& json);

/// Of numbers above 0. CLI11's own names the largest double in its message.
extern const CLI::Validator above_0;

}  // namespace flowrun::cli
