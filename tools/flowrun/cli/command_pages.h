// The pages of docs/commands, made from the command line's own declarations.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

namespace flowrun::cli {

/// One page per subcommand of `app`, and README.md, which lists them.
int command_pages(const CLI::App& app, const std::string& folder);

/// The same for man: flowrun.1, which lists the commands, and flowrun-COMMAND.1 for each.
int manual_pages(const CLI::App& app, const std::string& folder);

}  // namespace flowrun::cli
