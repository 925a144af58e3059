// Commands on node and model types, and on the shipped pipelines.
#include <iostream>

#include "tools/flowrun/cli/command_pages.h"
#include "tools/flowrun/cli/describe.h"
#include "tools/flowrun/cli/new_node.h"
#include "tools/flowrun/cli/options.h"
#include "tools/flowrun/cli/pipelines.h"

namespace flowrun::cli {
namespace {

void add_help(CLI::App& app, int& status) {
  CLI::App& command =
      add_command(app, "help", "Shows the node and model types, or one of them; or a command's options", "flowrun help mask.rectangles");
  const auto args = std::make_shared<TypeArgs>();
  command.add_option("type", args->type, "A type such as mask.rectangles, or run");
  add_json(command, args->json);
  add_plugins(command, args->plugins);
  on_command(command, args, status, [&app](const TypeArgs& of) {
    try {
      return help(of);
    } catch (const PipelineError&) {
      const auto commands = app.get_subcommands([&](const CLI::App* known) { return known->get_name() == of.type; });
      if (commands.empty()) throw;
      std::cout << commands[0]->help("flowrun");
      return 0;
    }
  });
}

void add_schema(CLI::App& app, int& status) {
  CLI::App& command = add_command(app, "schema", "Prints the JSON Schema of pipeline files, for editors", "flowrun schema > pipeline.schema.json");
  const auto args = std::make_shared<TypeArgs>();
  command.add_flag("--sweep", args->sweep, "Prints the schema of sweep files instead");
  add_plugins(command, args->plugins);
  on_command(command, args, status, schema);
}

struct DocArgs : TypeArgs {
  bool commands = false, man = false;
};

void add_doc(CLI::App& app, int& status) {
  CLI::App& command = add_command(app, "doc", "Writes the pages of all types, or of the commands, into a folder", "flowrun doc docs/nodes");
  const auto args = std::make_shared<DocArgs>();
  command.add_option("folder", args->folder, "Folder of the pages; existing ones are replaced")->required();
  command.add_flag("--commands", args->commands, "Pages of the commands instead");
  command.add_flag("--man", args->man, "Manual pages of the commands instead: flowrun.1, flowrun-run.1, …");
  add_plugins(command, args->plugins);
  on_command(command, args, status, [&app](const DocArgs& of) {
    return of.man ? manual_pages(app, of.folder) : of.commands ? command_pages(app, of.folder) : doc(of);
  });
}

void add_pipelines(CLI::App& app, int& status) {
  CLI::App& command = add_command(app, "pipelines", "Lists the shipped pipelines, or copies them into a folder", "flowrun pipelines my_pipelines");
  const auto args = std::make_shared<PipelinesArgs>();
  command.add_option("folder", args->folder, "Folder for copies of all of them; without it they are listed");
  add_json(command, args->json);
  on_command(command, args, status, pipelines);
}

void add_completion(CLI::App& app, int& status) {
  CLI::App& command = add_command(app, "completion", "Prints a script that completes flowrun's words in a shell",
                                  "flowrun completion bash > ~/.local/share/bash-completion/completions/flowrun");
  const auto args = std::make_shared<CompletionArgs>();
  command.add_option("shell", args->shell, "bash, zsh or fish")->required()->check(CLI::IsMember({"bash", "zsh", "fish"}));
  command.add_option("--file", args->file, "For scripts: prints what a --set of this pipeline can be")->group("");
  command.add_option("--word", args->word, "And begins with this")->group("");
  on_command(command, args, status, [&app](const CompletionArgs& of) { return completion(app, of); });
}

void add_new(CLI::App& app, int& status) {
  CLI::App& command =
      add_command(app, "new", "Begins a node of your own: its source, pipeline, test and CMake file", "flowrun new node image.foo --python");
  const auto args = std::make_shared<NewNodeArgs>();
  const auto what = std::make_shared<std::string>();
  command.add_option("what", *what, "node")->required()->check(CLI::IsMember({"node"}));
  command.add_option("type", args->type, "FAMILY.NAME, such as image.foo")->required();
  command.add_option("folder", args->folder, "Folder for the files. Default: one with the node's name");
  command
      .add_option("--scope", args->scope,
                  "sample: changes pictures on the host. mask: draws masks, in Python. step: reports a number for each step, from tensors, in C++")
      ->check(CLI::IsMember({"sample", "mask", "step"}));
  command.add_flag("--python", args->python, "In Python, in place of C++");
  on_command(command, args, status, [what](const NewNodeArgs& of) { return new_node(of); });
}

}  // namespace

void add_type_commands(CLI::App& app, int& status) {
  add_pipelines(app, status);
  add_help(app, status);
  add_schema(app, status);
  add_doc(app, status);
  add_new(app, status);
  add_completion(app, status);
}

}  // namespace flowrun::cli
