#include "tests/support/places.h"

namespace flowrun::test {

std::filesystem::path source_dir() { return FLOWRUN_SOURCE_DIR; }

}  // namespace flowrun::test
