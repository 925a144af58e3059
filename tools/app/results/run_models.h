// The models of a run: what its pipeline says of them, and the files of its checkpoints.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

namespace flowrun::app {

/// The folder of the run that a path lies in, or is; none: there is no run up to three folders above it.
std::optional<std::filesystem::path> run_of(const std::filesystem::path& path);

/// The checkpoint of a run that an evaluation found best. Throws PipelineError when the run keeps none.
std::filesystem::path best_checkpoint(const std::filesystem::path& run);

/// The entry of a model in a resolved pipeline that says what it is: a copy's is that of its original. Null: there is none.
nlohmann::ordered_json entry_of(const nlohmann::ordered_json& pipeline, std::string name);

/// Whether models of this type make tokens of images.
bool is_encoder(const std::string& type);

}  // namespace flowrun::app
