// What is shipped with the program: pipelines, and files of Python.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace flowrun::app {

/// The pipelines' folder, found from where this code's library lies: ../pipelines (a wheel, a build folder), or ../share/flowrun/pipelines
/// (an installation). Throws RunError if neither is there.
std::filesystem::path shipped_pipelines();
/// hub.py, which writes model graphs, found in the same way. Throws RunError.
std::filesystem::path shipped_hub();
/// The folder of Python that reads other projects' configurations, likewise. Throws RunError.
std::filesystem::path shipped_importers();

/// The file that a word of the command line names: shipped:FILE.json stands for one of the folder, which must exist; other words stay as they are.
/// Throws PipelineError, and RunError if no pipelines are shipped with the program.
std::string pipeline_named(const std::string& word);

struct Shipped {
  std::string file;   // relative to the folder
  std::string about;  // empty if the file has none
};

/// Those that can be used as they are, in the order of their paths. Bases, whose names begin with an underscore, are left out.
std::vector<Shipped> list_shipped();

/// Copies all of them, bases and parts too; returns how many. Nothing is copied if a file of that name with other contents is there
/// already (PipelineError).
int copy_shipped(const std::filesystem::path& to);

}  // namespace flowrun::app
