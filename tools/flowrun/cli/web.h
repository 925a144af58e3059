// The page of all runs.
#pragma once

#include <string>

namespace flowrun::cli {

struct WebArgs {
  std::string runs = "runs";  // folder
  int port = 7860;            // another one, where it is taken
  bool open = false;          // in the browser
};

/// Serves a page of all runs below a folder on this machine, until it gets SIGINT, SIGTERM, or a SIGHUP that was not ignored when the program began
/// (nohup).
int web(const WebArgs& args);

}  // namespace flowrun::cli
