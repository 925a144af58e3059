#include "tools/flowrun/cli/pipelines.h"

#include <algorithm>
#include <iostream>

#include "graph/text/json_text.h"
#include "tools/app/load/shipped.h"

namespace flowrun::cli {
namespace {

using nlohmann::ordered_json;

std::string first_sentence(const std::string& text) {
  const size_t end = text.find(". ");
  return end == std::string::npos ? text : text.substr(0, end);
}

void list(bool json) {
  const std::string folder = app::shipped_pipelines().string();
  const std::vector<app::Shipped> all = app::list_shipped();
  if (json) {
    ordered_json files = ordered_json::array();
    for (const app::Shipped& one : all) files.push_back({{"file", one.file}, {"about", one.about}});
    std::cout << json_text(ordered_json{{"folder", folder}, {"files", files}}, 2) << "\n";
    return;
  }
  size_t width = 0;
  for (const app::Shipped& one : all) width = std::max(width, one.file.size());
  std::cout << folder << "\n";
  for (const app::Shipped& one : all) {
    std::cout << "  " << one.file << std::string(width + 2 - one.file.size(), ' ') << first_sentence(one.about) << "\n";
  }
}

}  // namespace

int pipelines(const PipelinesArgs& args) {
  if (args.folder.empty()) {
    list(args.json);
    return 0;
  }
  const int count = app::copy_shipped(args.folder);
  if (args.json) {
    std::cout << json_text(ordered_json{{"folder", args.folder}, {"copied", count}}, 2) << "\n";
  } else {
    std::cout << args.folder << ": " << count << " files\n";
  }
  return 0;
}

}  // namespace flowrun::cli
