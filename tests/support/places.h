// Where the clone lies that the tests were built from.
#pragma once

#include <filesystem>

namespace flowrun::test {

std::filesystem::path source_dir();

}  // namespace flowrun::test
