// The words that --set can be given, for shells.
#pragma once

#include <string>
#include <vector>

namespace flowrun::cli {

/// What `word`, the beginning of a --set for that pipeline file, can become: "mask.regions=", or, behind the sign, "view.filter=bicubic" for each
/// value that is allowed, or the value as it is now. Nothing for files that can't be read.
std::vector<std::string> set_words(const std::string& file, const std::string& word);

}  // namespace flowrun::cli
