// Which of a folder's files a source gives: lists, low-shot draws and splits. No graph knowledge.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "io/image_folder.h"

namespace flowrun::source {

/// The files that a text file names, one relative path a line, in the order of `files`. Empty lines are passed over. A
/// name without a folder stands for the only file of that name. Throws io::Error, with list and line, on a path that
/// isn't there, is ambiguous or was named before, and on a list that names none.
std::vector<io::ImageFile> take_listed(const std::vector<io::ImageFile>& files, const std::filesystem::path& list);

/// `count` files of each class. The draw depends on the seed, the class and its number of files alone. Throws io::Error
/// without classes, and when a class has fewer.
std::vector<io::ImageFile> take_per_class(const io::ImageFolder& folder, int64_t count, uint64_t seed);

/// Indices below `count` that belong to the part: "held_out" has round(share * count) of them, at least one and not
/// all; "kept" has the others. The draw depends on the seed and the count alone.
std::vector<size_t> part_indices(size_t count, const std::string& part, double share, uint64_t seed);

}  // namespace flowrun::source
