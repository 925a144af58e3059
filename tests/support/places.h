// The path of the source tree that the tests were built from.
#pragma once

#include <filesystem>

namespace flowrun::test {

std::filesystem::path source_dir();

}  // namespace flowrun::test
