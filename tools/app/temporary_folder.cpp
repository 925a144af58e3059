#include "tools/app/temporary_folder.h"

#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "graph/text/error.h"

namespace flowrun::app {

namespace fs = std::filesystem;

TemporaryFolder::TemporaryFolder() {
  std::string name = (fs::temp_directory_path() / "flowrun-XXXXXX").string();
  if (::mkdtemp(name.data()) == nullptr)
    throw RunError("cannot make a folder in " + fs::temp_directory_path().string() + ": " + std::strerror(errno));
  path_ = name;
}

TemporaryFolder::~TemporaryFolder() {
  std::error_code ignored;
  fs::remove_all(path_, ignored);
}

}  // namespace flowrun::app
