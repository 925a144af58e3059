// completion: shell scripts that complete flowrun's commands and options, made from its own command line.
#include <iostream>

#include "graph/text/error.h"
#include "tools/flowrun/cli/options.h"
#include "tools/flowrun/cli/set_words.h"

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
  std::cout << R"(# flowrun's words for bash: source this file, or put it into ~/.local/share/bash-completion/completions/flowrun
_flowrun() {
  local word=${COMP_WORDS[COMP_CWORD]} command=${COMP_WORDS[1]} words= before= i
  # Bash cuts words at "=": what was typed since the last blank.
  local typed=$word
  for ((i = COMP_CWORD - 1; i > 0; --i)); do
    [[ ${COMP_WORDS[i]} == "=" || $typed == "="* ]] || break
    typed=${COMP_WORDS[i]}$typed
  done
  before=${COMP_WORDS[i]}
  [[ $typed == --set=* ]] && before=--set typed=${typed#--set=}
  if [[ $before == --set ]]; then
    local file=
    for ((i = 1; i < COMP_CWORD; ++i)); do [[ -f ${COMP_WORDS[i]} && -z $file ]] && file=${COMP_WORDS[i]}; done
    local IFS=$'\n'
    COMPREPLY=($(flowrun completion bash --file "$file" --word "$typed" 2>/dev/null))
    [[ $typed == *=* ]] && COMPREPLY=("${COMPREPLY[@]#*=}")
    compopt -o nospace 2>/dev/null
    return
  fi
  case $command in
)";
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
               "_flowrun_set() {\n"
               "  local file\n"
               "  for file in ${words[2,-1]}; do [[ -f $file ]] && break; done\n"
               "  compadd -S '' -- ${(f)\"$(flowrun completion zsh --file $file --word ${(Q)PREFIX} 2>/dev/null)\"}\n"
               "}\n"
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
        std::cout << " \\\n        '" << (name == "set" ? "*" : "") << "--" << name << (takes_value ? "=[" : "[") << quoted(option->get_description())
                  << "]"
                  << (name == "set" ? ":path and value:_flowrun_set"
                      : takes_value ? ":value:_files"
                                    : "")
                  << "'";
      }
    }
    std::cout << " \\\n        '*:file:_files' ;;\n";
  }
  std::cout << "  esac\n"
               "}\n"
               "_flowrun \"$@\"\n";
}

/// In single quotes, for fish.
std::string quoted_for_fish(const std::string& text) {
  std::string out = "'";
  for (const char c : text) out += c == '\'' || c == '\\' ? std::string("\\") + c : std::string(1, c);
  return out + "'";
}

void print_fish(const CLI::App& app) {
  std::cout << R"(# flowrun's words for fish: put this file as flowrun.fish into ~/.config/fish/completions
function __flowrun_set
    for word in (commandline -opc)[2..-1]
        if test -f $word
            flowrun completion fish --file $word --word (commandline -ct | string replace -r '^--set=' '') 2>/dev/null
            return
        end
    end
end
complete -c flowrun -n '__fish_is_first_arg' -k -xa '(__fish_complete_suffix .json)'
)";
  for (const CLI::App* command : app.get_subcommands([](const CLI::App*) { return true; })) {
    const std::string name = command->get_name();
    std::cout << "complete -c flowrun -n __fish_is_first_arg -a " << name << " -d " << quoted_for_fish(command->get_description()) << "\n";
    const std::string where =
        "'__fish_seen_subcommand_from " + name + (name == "run" ? "; or string match -q \"*.json\" (commandline -opc)[2]'" : "'");
    for (const CLI::Option* option : command->get_options()) {
      if (option->get_group().empty() || option->get_positional()) continue;
      std::cout << "complete -c flowrun -n " << where;
      for (const std::string& word : option->get_snames()) std::cout << " -s " << word;
      for (const std::string& word : option->get_lnames()) std::cout << " -l " << word;
      const bool sets = option->check_lname("set");
      if (sets) std::cout << " -xa '(__flowrun_set)'";
      if (!sets && option->get_items_expected_max() > 0) std::cout << " -r";
      std::cout << " -d " << quoted_for_fish(option->get_description()) << "\n";
    }
  }
}

}  // namespace

int completion(const CLI::App& app, const CompletionArgs& args) {
  if (!args.file.empty()) {
    // fish shows the description of --set beside each word that has none of its own.
    const auto described = [&](const std::string& word) { return args.shell != "fish" ? "" : word.ends_with('=') ? "\tpath" : "\tvalue"; };
    for (const std::string& word : set_words(args.file, args.word)) std::cout << word << described(word) << "\n";
    return 0;
  }
  args.shell == "zsh" ? print_zsh(app) : args.shell == "fish" ? print_fish(app) : print_bash(app);
  return 0;
}

}  // namespace flowrun::cli
