#include "tools/flowrun/cli/command_pages.h"

#include <algorithm>
#include <cctype>
#include <cstdio>
#include <filesystem>
#include <map>

#include "graph/contract/version.h"
#include "graph/text/error.h"
#include "io/file.h"

namespace flowrun::cli {
namespace {

const char *const done = "done", *const failed = "it failed: the message says why",
                  *const wrong = "the pipeline or the command line is wrong; nothing was run";

/// Facts that the declarations lack: the chapter that explains a command, and the meaning of its special exit statuses.
struct Chapter {
  std::string title, link;  // from docs
  std::map<int, std::string> statuses{};
};

const std::map<std::string, Chapter>& chapters() {
  const std::string stopped = "stopped on request; the same command with --resume goes on";
  static const std::map<std::string, Chapter> all = {
      {"init", {"The cookbook", "cookbook.md"}},
      {"run", {"Pipeline files", "pipeline-file.md", {{1, "the run failed"}, {75, stopped}}}},
      {"quickstart", {"Start", "../README.md#start", {{1, "the run failed"}, {75, stopped}}}},
      {"check", {"Diagnostics", "pipeline-file.md#diagnostics", {{0, "no faults"}}}},
      {"expand", {"The resolved pipeline", "pipeline-file.md#the-resolved-pipeline"}},
      {"diff", {"Comparing two pipelines", "pipeline-file.md#comparing-two-pipelines", {{0, "done, also where they differ"}}}},
      {"import", {"Coming from elsewhere", "migrate.md", {{1, "the pipeline could not be written, or Python could not be started"}}}},
      {"draw", {"The graph", "reading-a-run.md#the-graph"}},
      {"mask-report", {"Masks", "masks.md#mask-report"}},
      {"export", {"Weights: out", "weights.md#out"}},
      {"embed", {"Features of pictures", "features.md", {{75, "stopped on request; the same command goes on"}}}},
      {"look", {"Looking at features", "features.md#looking-at-features", {{75, "stopped on request; no page was written"}}}},
      {"replay",
       {"Replay and verify",
        "replay.md",
        {{0, "as in the run"}, {1, "the ledger differs, the sample fails at a node shown, or the data can't be opened"}}}},
      {"verify", {"Ledgers", "replay.md#ledgers", {{0, "all ledgers are those of the run"}, {1, "a ledger differs, or the data can't be opened"}}}},
      {"report", {"The report", "reading-a-run.md#the-report"}},
      {"web",
       {"All runs in a browser",
        "reading-a-run.md#all-runs-in-a-browser",
        {{0, "ended by Ctrl-C"}, {1, "there is no such folder, or no port can be opened"}}}},
      {"index", {"Shards from other programs", "data.md#shards-from-other-programs"}},
      {"pack", {"Packing", "data.md#packing"}},
      {"profile", {"Where the time goes", "profiling.md#profile"}},
      {"advise", {"Where the time goes", "profiling.md#advise"}},
      {"plan", {"Planning a run", "scale.md", {{1, "a model or the masks can't be opened: the message says why"}}}},
      {"sweep", {"Sweeps", "pipeline-file.md#sweeps", {{1, "a variant failed"}, {75, "stopped on request; the same command goes on"}}}},
      {"top",
       {"top, SIGUSR1, and stalls", "profiling.md#top-sigusr1-and-stalls", {{1, "no process writes into the directory, or it doesn't answer"}}}},
      {"pipelines", {"The shipped pipelines", "install.md#the-shipped-pipelines"}},
      {"help", {"Node and model types", "nodes/README.md"}},
      {"schema", {"Pipeline files", "pipeline-file.md"}},
      {"doc", {"Contributing", "../CONTRIBUTING.md#tests"}},
      {"new",
       {"Out of the tree: a plug-in",
        "writing-a-node.md#out-of-the-tree-a-plug-in",
        {{2, "the name is no type's or is taken, or files are there already"}}}},
      {"completion", {"Commands", "../README.md#commands"}},
  };
  return all;
}

std::vector<const CLI::App*> commands_of(const CLI::App& app) {
  return app.get_subcommands([](const CLI::App*) { return true; });
}

std::string in_cell(std::string text) {
  for (size_t at = 0; (at = text.find('|', at)) != std::string::npos; at += 2) text.insert(at, "\\");
  return text;
}

/// The allowed values; CLI11 says "INT:INT in [1 - 1024]", "TEXT:{bash,zsh}".
std::string value_text(const CLI::Option& option) {
  if (option.get_items_expected_max() == 0) return "flag";
  std::string text = option.get_type_name();
  if (const size_t colon = text.find(':'); colon != std::string::npos) text = text.substr(colon + 1);
  const bool list = text.starts_with('{');
  const auto replace = [&](const std::string& from, const std::string& to) {
    for (size_t at = 0; (at = text.find(from, at)) != std::string::npos; at += to.size()) text.replace(at, from.size(), to);
  };
  replace(") OR (", " | ");
  for (const char* const around : {"({", "})", "{", "}", "(", ")"}) replace(around, "");
  if (list) replace(",", " | ");
  replace("INT in [", "integer, [");
  replace("FLOAT in [", "number, [");
  if (const size_t open = text.find(", ["), dash = text.find(" - ", open), close = text.find(']', open); open != std::string::npos) {
    text = text.substr(0, open) + ", " + text.substr(open + 3, dash - open - 3) + " to " + text.substr(dash + 3, close - dash - 3) +
           text.substr(close + 1);
  }
  replace("POSITIVE", "number, above 0");
  replace("NONNEGATIVE", "number, at least 0");
  if (text == "TEXT" || text == "INT" || text == "UINT" || text == "FLOAT") return text == "TEXT" ? "text" : text == "FLOAT" ? "number" : "integer";
  return text;
}

std::string default_text(const CLI::Option& option) {
  if (option.get_required()) return "required";
  const std::string text = option.get_default_str();
  if (option.get_items_expected_min() == 0 && option.get_items_expected_max() > 0) return "`" + text + "` if no value is given";
  return text.empty() || option.get_items_expected_max() == 0 ? "" : "`" + text + "`";
}

bool shown(const CLI::Option& option) { return !option.get_group().empty() && !option.check_lname("help"); }

std::string usage(const CLI::App& command) {
  std::string text = "flowrun " + command.get_name();
  for (const CLI::Option* option : command.get_options()) {
    if (!option->get_positional() || !shown(*option)) continue;
    std::string name = option->get_name(true);
    for (char& c : name) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
    if (option->get_items_expected_max() > 1) name += "…";
    text += option->get_required() ? " " + name : " [" + name + "]";
  }
  return text + " [OPTIONS]";
}

std::string options_table(const CLI::App& command) {
  std::string text = "| | value | default | |\n|---|---|---|---|\n";
  for (const CLI::Option* option : command.get_options()) {
    if (!shown(*option)) continue;
    std::string name = option->get_positional() ? option->get_name(true) : option->get_name(false, true);
    if (const size_t comma = name.find(','); comma != std::string::npos) name.replace(comma, 1, "`, `");
    text += "| `" + name + "` | " + in_cell(value_text(*option)) + " | " + in_cell(default_text(*option)) + " | " +
            in_cell(option->get_description()) + " |\n";
  }
  return text;
}

std::string page(const CLI::App& command) {
  const auto found = chapters().find(command.get_name());
  if (found == chapters().end()) throw RunError("doc: no chapter explains " + command.get_name() + ": name one in command_pages.cpp");
  const Chapter& chapter = found->second;
  std::map<int, std::string> statuses = chapter.statuses;
  statuses.insert({{0, done}, {1, failed}, {2, wrong}});
  const std::string footer = command.get_footer();
  std::string examples = footer.substr(footer.find("\n  ") + 3);
  for (size_t at = 0; (at = examples.find("\n  ", at)) != std::string::npos; at += 5) examples.insert(at + 1, "  ");
  std::string text = "# flowrun " + command.get_name() + "\n\nMade by `flowrun doc --commands`; change the declarations, not this page.\n\n" +
                     command.get_description() + ". Explained in [" + chapter.title + "](../" + chapter.link + ").\n\n    " + usage(command) +
                     "\n\n" + options_table(command) + "\nExample:\n\n    " + examples + "\n\n| exit status | |\n|---|---|\n";
  for (const auto& [status, meaning] : statuses) text += "| " + std::to_string(status) + " | " + meaning + " |\n";
  return text;
}

/// The code point of the UTF-8 character at `at`, which is moved to its last byte.
unsigned code_point(const std::string& text, size_t& at) {
  const auto first = static_cast<unsigned char>(text[at]);
  const size_t more = first >= 0xf0 ? 3 : first >= 0xe0 ? 2 : 1;
  unsigned code = first & (0x3fu >> more);
  for (size_t i = 0; i < more && at + 1 < text.size(); ++i) code = code << 6 | (static_cast<unsigned char>(text[++at]) & 0x3fu);
  return code;
}

/// Text of a manual page: roff's own signs, and what is not ASCII, escaped.
std::string roff(const std::string& text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (static_cast<unsigned char>(c) >= 0x80) {
      char name[16];
      std::snprintf(name, sizeof name, "\\[u%04X]", code_point(text, i));
      out += name;
    } else {
      out += c == '\\' ? "\\e" : c == '-' ? "\\-" : std::string(1, c);
    }
  }
  if (out.starts_with('.') || out.starts_with('\'')) out.insert(0, "\\&");
  for (size_t at = 0; (at = out.find("\n.", at)) != std::string::npos; at += 4) out.insert(at + 1, "\\&");
  return out;
}

std::string manual_head(const std::string& name, const std::string& brief) {
  std::string title = name;
  std::transform(title.begin(), title.end(), title.begin(), [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
  return ".TH " + roff(title) + " 1 \"\" \"flowrun " + version + "\"\n.SH NAME\n" + roff(name) + " \\- " + roff(brief) + "\n";
}

std::string manual_page(const CLI::App& command) {
  std::string text = manual_head("flowrun-" + command.get_name(), command.get_description());
  text += ".SH SYNOPSIS\n.B " + roff(usage(command)) + "\n.SH OPTIONS\n";
  for (const CLI::Option* option : command.get_options()) {
    if (!shown(*option)) continue;
    const std::string name = option->get_positional() ? option->get_name(true) : option->get_name(false, true);
    const std::string value = value_text(*option), initial = default_text(*option);
    text += ".TP\n.B " + roff(name) + "\n" + (value == "flag" ? "" : "(" + roff(value) + (initial.empty() ? "" : "; " + roff(initial)) + ") ") +
            roff(option->get_description()) + "\n";
  }
  const std::string footer = command.get_footer();
  text += ".SH EXAMPLES\n.nf\n" + roff(footer.substr(footer.find("\n  ") + 3)) + "\n.fi\n.SH EXIT STATUS\n";
  std::map<int, std::string> statuses = chapters().at(command.get_name()).statuses;
  statuses.insert({{0, done}, {1, failed}, {2, wrong}});
  for (const auto& [status, meaning] : statuses) text += ".TP\n.B " + std::to_string(status) + "\n" + roff(meaning) + "\n";
  return text + ".SH SEE ALSO\n.BR flowrun (1)\n";
}

}  // namespace

int manual_pages(const CLI::App& app, const std::string& folder) {
  std::filesystem::create_directories(folder);
  std::string text =
      manual_head("flowrun", "trains vision models without labels") +
      ".SH SYNOPSIS\n.B flowrun\n.I PIPELINE.json\n[OPTIONS]\n.br\n.B flowrun\n.I COMMAND\n[OPTIONS]\n.SH DESCRIPTION\n" +
      "A JSON file defines the training as a graph of nodes. \\fBflowrun PIPELINE.json\\fR runs it, as \\fBflowrun run\\fR does.\n.SH COMMANDS\n";
  for (const CLI::App* command : commands_of(app)) {
    io::write_file_atomic(std::filesystem::path(folder) / ("flowrun-" + command->get_name() + ".1"), manual_page(*command));
    text += ".TP\n.BR flowrun\\-" + roff(command->get_name()) + " (1)\n" + roff(command->get_description()) + "\n";
  }
  io::write_file_atomic(std::filesystem::path(folder) / "flowrun.1", text);
  return 0;
}

int command_pages(const CLI::App& app, const std::string& folder) {
  std::filesystem::create_directories(folder);
  std::string index =
      "# Commands\n\nMade by `flowrun doc --commands` from the declarations in the code; `flowrun COMMAND --help` shows the same.\n\n";
  for (const CLI::App* command : commands_of(app)) {
    io::write_file_atomic(std::filesystem::path(folder) / (command->get_name() + ".md"), page(*command));
    index += "- [`" + command->get_name() + "`](" + command->get_name() + ".md): " + command->get_description() + "\n";
  }
  io::write_file_atomic(std::filesystem::path(folder) / "README.md", index);
  return 0;
}

}  // namespace flowrun::cli
