// A folder for the files of one piece of work.
#pragma once

#include <filesystem>
#include <string>

namespace flowrun::app {

/// Made under a new name in the system's folder for such, and removed with all that is in it. Throws RunError.
class TemporaryFolder {
 public:
  TemporaryFolder();
  ~TemporaryFolder();
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;

  const std::filesystem::path& path() const { return path_; }
  std::string file(const std::string& name) const { return path_ / name; }

 private:
  std::filesystem::path path_;
};

}  // namespace flowrun::app
