// Features of the same pictures after several steps of a run: files in its directory, and the picture that compares them.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "io/codec/image.h"
#include "nodes/lib/tensor/report/feature_maps.h"

namespace flowrun {

/// The patches of some pictures at one step.
struct FeatureStep {
  int64_t step = 0;
  int64_t pictures = 0, patches = 0, width = 0;  // n, N, D
  std::vector<float> values_nND;
};

struct FeatureFile {
  int64_t step = 0;
  std::filesystem::path path;
};

/// features/step-N.safetensors of the picture "features.png", else features/NAME-step-N.safetensors of "NAME.png".
std::filesystem::path feature_path(const std::filesystem::path& run, const std::string& picture, int64_t step);

/// The files of a picture, by step. None where there is no folder.
std::vector<FeatureFile> feature_files(const std::filesystem::path& run, const std::string& picture);

/// At most `most` of them, evenly spread, with the first and the last.
std::vector<FeatureFile> spread(const std::vector<FeatureFile>& files, int64_t most);

/// Removes the files of all pictures whose step is greater, for a run that resumes at `step`.
void remove_features_after(const std::filesystem::path& run, int64_t step);

/// Writes "patches" [n, N, D] in float16, all or nothing; the folder is made. `node` is kept in the file. Throws io::Error, and NodeError where the
/// file of this step is another node's.
void write_features(const std::filesystem::path& run, const std::string& picture, const std::string& node, const FeatureStep& step);
/// Throws io::Error.
FeatureStep read_features(const FeatureFile& file);

/// A row for each picture; columns: `images`, unless there are none, then the steps, each patch a square in the colours of one basis, that of
/// the last step. Steps of other shapes than the last are left white. A tile is about `side` pixels. Throws std::invalid_argument as
/// colour_basis().
io::PixelBuffer feature_sheet(const std::vector<io::PixelBuffer>& images, const std::vector<FeatureStep>& steps, int side);

}  // namespace flowrun
