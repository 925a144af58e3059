// The library or program that Flowrun's code was loaded from.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

namespace flowrun {

/// The folder it lies in, where its modules are, too.
std::filesystem::path own_folder();

/// A file or folder that is shipped with it: ../NAME (a wheel, a build folder) or ../share/flowrun/NAME (an installation). Empty if neither is there.
std::filesystem::path own_share(const std::string& name);

/// Begins the name of a pipeline that is shipped, wherever a pipeline file may be named: shipped:quickstart.json.
inline constexpr std::string_view shipped_prefix = "shipped:";

/// Lets libraries that are opened from now on find Flowrun's symbols. A program does so from its start; a Python module that links Flowrun is
/// loaded with its symbols hidden.
void offer_own_symbols();

}  // namespace flowrun
