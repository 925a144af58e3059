// import: a pipeline from a configuration of another project.
#pragma once

#include <string>
#include <vector>

namespace flowrun::cli {

struct ImportArgs {
  std::string file;  // "-": standard input
  std::string out;   // empty: the pipeline is printed
  bool overwrite = false;
  std::string project;  // ijepa, mae, dinov2 or solo-learn; empty: the file's keys tell
  std::string data;     // a folder with train and val, in place of the file's; may be empty
  int gpus = 0;         // on which it ran; 0: the file says, or one
  int pictures = 0;     // of the training set, for lengths in steps; 0: ImageNet's
  std::vector<std::string> sets;
  bool json = false;
};

}  // namespace flowrun::cli
