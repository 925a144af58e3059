// Starts Python for what only its packages do.
#pragma once

#include <string>
#include <vector>

namespace flowrun::cli {

/// What a process did.
struct Finished {
  int status;           // its exit status; 128 and the signal if one ended it
  std::string printed;  // on standard output; standard error is this process's
};

/// Runs a file with the interpreter that FLOWRUN_PYTHON names, else that of the environment whose LibTorch is loaded, else python3; waits
/// for its end. Throws RunError if it can't be started.
Finished run_python(const std::string& file, const std::vector<std::string>& words);

}  // namespace flowrun::cli
