#include "tools/flowrun/cli/import.h"

#include <iostream>

#include "tools/app/load/shipped.h"
#include "tools/app/python.h"
#include "tools/flowrun/cli/commands.h"

namespace flowrun::cli {

int import_configuration(const ImportArgs& args) {
  std::vector<std::string> words = {app::shipped_importers(), args.file};
  const auto add = [&](const char* option, const std::string& value) {
    if (!value.empty()) words.push_back(std::string(option) + "=" + value);
  };
  add("--out", args.out);
  if (args.overwrite) words.emplace_back("--overwrite");
  add("--from", args.project);
  add("--data", args.data);
  if (args.gpus > 0) add("--gpus", std::to_string(args.gpus));
  if (args.pictures > 0) add("--pictures", std::to_string(args.pictures));
  for (const std::string& set : args.sets) add("--set", set);
  if (args.json) words.emplace_back("--json");
  const app::Finished done = app::run_python(words, "PyYAML");
  std::cout << done.printed;
  return done.status;  // the importers' statuses are the program's
}

}  // namespace flowrun::cli
