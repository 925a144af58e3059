// The interpreter of Python for everything that is started with it.
#pragma once

#include <string>

namespace flowrun {

/// The one that FLOWRUN_PYTHON names, else that of the environment whose LibTorch is loaded, else python3.
std::string python_program();

}  // namespace flowrun
