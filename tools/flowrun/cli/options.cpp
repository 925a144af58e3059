#include "tools/flowrun/cli/options.h"

#include "tools/app/load/shipped.h"

namespace flowrun::cli {

CLI::App& add_command(CLI::App& app, const std::string& name, const std::string& about, const std::string& example) {
  CLI::App& command = *app.add_subcommand(name, about);
  command.footer("Example:\n  " + example);
  return command;
}

void add_data_kind(CLI::App& command, std::string& kind) {
  command.add_option("--as", kind, "Kind of the data. Default: told from the path's content; a URL is shards")
      ->check(CLI::IsMember({"folder", "shards", "parquet"}));
}

void add_file(CLI::App& command, const std::string& name, std::string& file, const std::string& about) {
  command
      .add_option_function<std::string>(
          name, [&file](const std::string& word) { file = app::pipeline_named(word); }, about)
      ->required();
}

void add_pipeline(CLI::App& command, app::PipelineArgs& args) {
  add_file(command, "pipeline", args.file, "Pipeline file (JSON); shipped:FILE.json, one that comes with the program");
  add_set(command, args);
  add_trust(command, args.trust);
}

void add_set(CLI::App& command, app::PipelineArgs& args) {
  command
      .add_option("--set", args.sets, "PATH=VALUE: changes one value, as nodes' \"set\" does (mask.regions=1, run.epochs=2, seed=3); may be repeated")
      ->allow_extra_args(false);
}

void add_trust(CLI::App& command, bool& trust) {
  command.add_flag("--trust", trust, "Loads the plug-ins that a run's pipeline.resolved.json lists: code of the folder's author");
}

void add_plugins(CLI::App& command, std::vector<std::string>& plugins) {
  command.add_option("--plugin", plugins, "Shared library whose node types are shown too; may be repeated")->allow_extra_args(false);
}

void add_json(CLI::App& command, bool& json) { command.add_flag("--json", json, "As JSON"); }

const CLI::Validator above_0(
    [](std::string& text) {
      double number = 0;
      return CLI::detail::lexical_cast(text, number) && number > 0 ? std::string() : text + " must be a number above 0";
    },
    "POSITIVE");

}  // namespace flowrun::cli
