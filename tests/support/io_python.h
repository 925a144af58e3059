#pragma once

#include <cstdlib>
#include <filesystem>
#include <gtest/gtest.h>
#include <string>

#include "support/io_files.h"

// Runs reference scripts in the environment's Python, which holds the libraries that io/ is compared with.

namespace flowrun::io::test {

// Skips the test, saying so, unless Python can import MODULES ("PIL.Image, numpy"). Check IsSkipped() after it.
inline void require_python(const std::string& modules) {
  std::string probe = FLOWRUN_PYTHON " -c 'import ";
  probe += modules;
  probe += "' 2>/dev/null";
  if (std::system(probe.c_str()) != 0) {
    GTEST_SKIP() << FLOWRUN_PYTHON << " cannot import " << modules << ": run tools/setup --test";
  }
}

// Runs SCRIPT inside DIRECTORY, where raw files are exchanged. An exception there is a failure here, with its text.
inline void run_python(const std::filesystem::path& directory, const std::string& script) {
  put_file(directory / "script.py", script);
  const std::string command = "cd '" + directory.string() + "' && " + std::string(FLOWRUN_PYTHON) + " script.py > script.log 2>&1";
  if (std::system(command.c_str()) != 0) ADD_FAILURE() << get_file(directory / "script.log");
}

}  // namespace flowrun::io::test
