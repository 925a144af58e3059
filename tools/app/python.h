// Starts Python for what only its packages do.
#pragma once

#include <string>
#include <vector>

namespace flowrun::app {

/// The end of a process.
struct Finished {
  int status;           // its exit status; 128 and the signal if one ended it
  std::string printed;  // on standard output; standard error is this process's
};

/// Runs python_program() with these words, a file or "-c" and a script the first of them, and waits for its end. `quiet`: its standard error is
/// dropped. Throws RunError if it can't be started: "… set FLOWRUN_PYTHON to a Python that has NEEDS".
Finished run_python(const std::vector<std::string>& words, const std::string& needs, bool quiet = false);

}  // namespace flowrun::app
