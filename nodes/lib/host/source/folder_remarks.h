// Warnings about a folder of pictures, before it is used.
#pragma once

#include <string>
#include <vector>

#include "io/folders/image_folder.h"

namespace flowrun::source {

/// Sentences for warnings: pictures that were passed over, and, where labels are read, one class alone, folders that lie
/// one too deep, and pictures that have two classes.
std::vector<std::string> remarks(const io::ImageFolder& folder, bool labels_read);

}  // namespace flowrun::source
