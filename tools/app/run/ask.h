// Asks a run of another process on this machine about its present work.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "io/run/run_holder.h"

namespace flowrun::app {

/// The process that writes into the directory. Throws RunError unless it can be asked from here.
io::HeldProcess find_process(const std::filesystem::path& run);

/// Its status; empty when it ended before. Throws RunError when it doesn't answer.
std::optional<nlohmann::ordered_json> ask(const std::filesystem::path& run, const io::HeldProcess& process);

/// How the run of a directory ended, or why there is none.
std::string ended(const std::filesystem::path& run);

}  // namespace flowrun::app
