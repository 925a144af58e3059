// The library or program that Flowrun's code was loaded from.
#pragma once

#include <filesystem>

namespace flowrun {

/// The folder it lies in, where its modules are, too.
std::filesystem::path own_folder();

/// Lets libraries that are opened from now on find Flowrun's symbols. A program does so from its start; a Python module that links Flowrun is
/// loaded with its symbols hidden.
void offer_own_symbols();

}  // namespace flowrun
