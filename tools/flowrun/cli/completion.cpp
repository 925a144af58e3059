// completion: shell scripts that complete flowrun's commands and options, made from its own command line.
#include <iostream>

#include "graph/text/error.h"
#include "tools/flowrun/cli/options.h"

namespace flowrun::cli {
namespace {

std::string joined(const std::vector<std::string>& words) { return join(words, " "); }

std::vector<std::string> command_names(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::App* command : app.get_subcommands([](const CLI::App*) { return true; })) names.push_back(command->get_name());
  return names;
}

/// Options as they are typed: --set, -o. Hidden ones are left out.
std::vector<std::string> option_names(const CLI::App& command) {
  std::vector<std::string> names;
  for (const CLI::Option* option : command.get_options()) {
    if (option->get_group().empty()) continue;
    for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
    for (const std::string& name : option->get_snames()) names.push_back("-" + name);
  }
  return names;
}

void print_bash(const CLI::App& app) {
  std::cout << "# flowrun's words for bash: source this file, or put it into ~/.local/share/bash-completion/completions/flowrun\n"
               "_flowrun() {\n"
               "  local word=${COMP_WORDS[COMP_CWORD]} command=${COMP_WORDS[1]} words=\n"
               "  case $command in\n";
  for (const CLI::App* command : app.get_subcommands([](const CLI::App*) { return true; })) {
    std::cout << "    " << command->get_name() << ") words=\"" << joined(option_names(*command)) << "\" ;;\n";
  }
  const CLI::App& run = *app.get_subcommand("run");
  std::cout << "    *) words=\"" << joined(option_names(run)) << "\" ;;\n"
            << "  esac\n"
               "  if [[ $COMP_CWORD == 1 && $word != -* ]]; then\n"
               "    COMPREPLY=($(compgen -W \""
            << joined(command_names(app)) << "\" -- \"$word\") $(compgen -f -X '!*.json' -- \"$word\"))\n"
            << "  elif [[ $word == -* ]]; then\n"
               "    COMPREPLY=($(compgen -W \"$words\" -- \"$word\"))\n"
               "  elif [[ $command == help ]]; then\n"
               "    COMPREPLY=($(compgen -W \"$(flowrun help | awk '/^  /{print $1}')\" -- \"$word\"))\n"
               "  else\n"
               "    COMPREPLY=($(compgen -f -- \"$word\"))\n"
               "  fi\n"
               "}\n"
               "complete -o filenames -F _flowrun flowrun\n";
}

/// In single quotes, for _arguments and _describe.
std::string quoted(const std::string& text) {
  std::string out;
  for (const char c : text) {
    if (c == '\'') {
      out += "'\\''";
    } else if (c == '[' || c == ']' || c == ':') {
      out += std::string("\\") + c;
    } else {
      out += c;
    }
  }
  return out;
}

void print_zsh(const CLI::App& app) {
  std::cout << "#compdef flowrun\n"
               "# flowrun's words for zsh: put this file as _flowrun into a folder of $fpath\n"
               "_flowrun() {\n"
               "  local -a commands\n"
               "  commands=(\n";
  const auto all = app.get_subcommands([](const CLI::App*) { return true; });
  for (const CLI::App* command : all) std::cout << "    '" << command->get_name() << ":" << quoted(command->get_description()) << "'\n";
  std::cout << "  )\n"
               "  if (( CURRENT == 2 )); then\n"
               "    _describe command commands\n"
               "    _files -g '*.json'\n"
               "    return\n"
               "  fi\n"
               "  case $words[2] in\n";
  for (const CLI::App* command : all) {
    std::cout << "    " << command->get_name() << (command->get_name() == "run" ? "|*.json" : "") << ")\n      _arguments";
    for (const CLI::Option* option : command->get_options()) {
      if (option->get_group().empty()) continue;
      const bool takes_value = option->get_items_expected_max() > 0;
      for (const std::string& name : option->get_lnames()) {
        std::cout << " \\\n        '--" << name << "[" << quoted(option->get_description()) << "]" << (takes_value ? ":value:_files" : "") << "'";
      }
    }
    std::cout << " \\\n        '*:file:_files' ;;\n";
  }
  std::cout << "  esac\n"
               "}\n"
               "_flowrun \"$@\"\n";
}

}  // namespace

int completion(const CLI::App& app, const std::string& shell) {
  shell == "zsh" ? print_zsh(app) : print_bash(app);
  return 0;
}

}  // namespace flowrun::cli
