// top: the present work of a running process on this machine, again and again.
#include "tools/flowrun/cli/top.h"

#include <chrono>
#include <iostream>
#include <thread>
#include <unistd.h>

#include "graph/text/json_text.h"
#include "tools/app/run/ask.h"
#include "tools/app/run/monitor.h"

namespace flowrun::cli {

int top(const TopArgs& args) {
  const std::filesystem::path run = args.run;
  const io::HeldProcess process = app::find_process(run);
  const bool again = !args.once && !args.json && isatty(STDOUT_FILENO) != 0;
  do {
    const auto status = app::ask(run, process);
    if (!status) {
      std::cout << app::ended(run) << "\n";
      return 0;
    }
    if (args.json) {
      std::cout << json_text(*status, 2) << "\n";
    } else {
      std::cout << (again ? "\033[H\033[2J" : "") << app::status_text(*status) << std::flush;
    }
    if (again) std::this_thread::sleep_for(std::chrono::duration<double>(args.every));
  } while (again);
  return 0;
}

}  // namespace flowrun::cli
