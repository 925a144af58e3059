#include "tools/app/run/evaluation_files.h"

#include <algorithm>
#include <array>
#include <filesystem>
#include <string>
#include <unistd.h>
#include <vector>

#include "io/codec/image_format.h"
#include "io/error.h"
#include "io/file.h"
#include "io/workers.h"

namespace flowrun::app {
namespace {

/// The fault of a file's header; empty: none, or unknown.
std::string fault_of(const std::string& path) {
  std::error_code ignored;
  if (!std::filesystem::is_regular_file(path, ignored)) return "";
  try {
    const io::FileDescriptor file = io::open_regular_file(path);
    std::array<uint8_t, 65536> bytes;
    const ssize_t count = ::pread(file.get(), bytes.data(), bytes.size(), 0);
    if (count < 0) return "it can't be read";
    if (count == 0) return "it is empty";
    io::read_image_info({bytes.data(), static_cast<size_t>(count)});
  } catch (const io::TruncatedError&) {
    return "";  // a long header
  } catch (const std::exception& error) {
    return error.what();
  }
  return "";
}

void check_source(const CheckedNode& source) {
  constexpr uint64_t most = 20'000;
  const uint64_t size = source.node->size(), looked_at = std::min(size, most);
  std::vector<std::string> faults(looked_at);
  const auto key = [&](size_t i) {
    const std::string text = source.node->key(i * size / looked_at);
    return text.substr(0, text.find(" with "));  // source.pairs names the label map, too
  };
  io::for_each_parallel(looked_at, 4, [&](size_t i) { faults[i] = fault_of(key(i)); });
  const auto first = std::find_if(faults.begin(), faults.end(), [](const std::string& fault) { return !fault.empty(); });
  if (first == faults.end()) return;
  const auto count = std::count_if(faults.begin(), faults.end(), [](const std::string& fault) { return !fault.empty(); });
  throw PipelineError("error: " + source.name + ": evaluations will fail on " + std::to_string(count) + (count == 1 ? " file" : " files") + " of " +
                      std::to_string(looked_at) + " looked at, the first " + key(static_cast<size_t>(first - faults.begin())) + ": " + *first +
                      "\n  repair or delete what is no picture: evaluations read every sample; run.max_bad is for training alone");
}

}  // namespace

void check_evaluation_files(const CheckedPipeline& pipeline) {
  if (pipeline.training_source < 0) return;  // the evaluation reads them at once
  for (size_t n = 0; n < pipeline.nodes.size(); ++n) {
    const CheckedNode& node = pipeline.nodes[n];
    if (node.scope() == Scope::source && static_cast<int>(n) != pipeline.training_source) check_source(node);
  }
}

}  // namespace flowrun::app
