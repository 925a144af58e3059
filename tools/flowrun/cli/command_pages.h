// The pages of docs/commands, made from the command line's own declarations.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

namespace flowrun::cli {

/// One page per subcommand of `app`, and README.md, which lists them.
int command_pages(const CLI::App& app, const std::string& folder);

}  // namespace flowrun::cli
