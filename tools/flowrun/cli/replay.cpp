// replay: a sample of a run, node by node, and the ledger of its step.
#include "tools/app/replay/replay.h"

#include <cstdio>
#include <iostream>
#include <utility>

#include "graph/text/json_text.h"
#include "io/codec/png.h"
#include "tools/flowrun/cli/commands.h"

namespace flowrun::cli {
namespace {

using nlohmann::ordered_json;

std::string words(const ordered_json& sample) {
  return "sample " + std::to_string(sample["sample"].get<uint64_t>()) + ": " + sample["key"].get<std::string>();
}

std::string print_ms(double ms) {
  char text[32];
  std::snprintf(text, sizeof text, "%.3f", ms);
  return text;
}

void print_ledger(const ordered_json& ledger) {
  const std::string note = ledger.value("note", "");
  std::printf("\nledger of step %lld: ", ledger["step"].get<long long>());
  if (ledger["found"].is_null()) {
    std::printf("none; %s\n", note.c_str());
  } else if (ledger["equal"].is_null()) {
    std::printf("%s; nothing to compare with: %s\n", ledger["found"].get<std::string>().c_str(), note.c_str());
  } else if (ledger["equal"].get<bool>()) {
    std::printf("%s, as in the run\n", ledger["found"].get<std::string>().c_str());
  } else {
    std::printf("%s, but the run had %s\n  %s\n", ledger["found"].get<std::string>().c_str(), ledger["expected"].get<std::string>().c_str(),
                note.c_str());
  }
}

void print(const ordered_json& facts, int64_t group_size) {
  const auto number = [&](const char* name) { return facts[name].get<long long>(); };
  std::printf("sample %llu of %s: %s\n", facts["sample"].get<unsigned long long>(), facts["source"].get<std::string>().c_str(),
              facts["key"].get<std::string>().c_str());
  std::printf("epoch %lld, position %lld; step %lld, group %lld of %lld, place %lld of %lld\n", number("epoch"), number("position"), number("step"),
              number("group") + 1, number("groups"), number("place") + 1, static_cast<long long>(group_size));
  if (facts.contains("instead_of")) std::printf("it stood in for %s\n", words(facts["instead_of"]).c_str());
  if (facts.contains("replaced_by")) {
    std::printf("in the run it failed, and was replaced by %s\n", words(facts["replaced_by"]).c_str());
    if (!facts["fails_now"].get<bool>()) std::printf("it can be read now\n");
  }
  std::printf("\n%-16s %-12s %-42s %-16s %9s\n", "node", "output", "what", "hash", "ms");
  for (const auto& node : facts["nodes"]) {
    std::string name = node["node"], ms = print_ms(node["ms"]);
    if (node["outputs"].empty()) std::printf("%-16s %-12s %-42s %-16s %9s\n", name.c_str(), "", "", "", ms.c_str());
    for (const auto& output : node["outputs"]) {
      std::printf("%-16s %-12s %-42s %-16s %9s\n", std::exchange(name, "").c_str(), output["port"].get<std::string>().c_str(),
                  output["shape"].get<std::string>().c_str(), output["hash"].is_null() ? "" : output["hash"].get<std::string>().c_str(),
                  std::exchange(ms, "").c_str());
    }
  }
  print_ledger(facts["ledger"]);
  std::fflush(stdout);
  if (facts.contains("error")) std::fprintf(stderr, "error: %s\n", facts["error"].get<std::string>().c_str());
}

}  // namespace

int replay(const app::ReplayArgs& args) {
  const app::Replayed replayed = app::replay(args);
  if (args.json) {
    std::cout << json_text(replayed.facts, 2) << "\n";
  } else {
    print(replayed.facts, replayed.group_size);
  }
  if (!args.png.empty()) {
    io::write_png(args.png, replayed.picture().view());
    if (!args.json) {
      std::cout << args.png
                << ": at the left the whole picture with the box of each crop; right of it, a row for each view: the view, what the student "
                   "sees of it, and what it predicts, each region in a colour of its own\n";
    }
  }
  return replayed.status;
}

}  // namespace flowrun::cli
