// Warnings about a folder of pictures, before it is used.
#pragma once

#include <string>
#include <vector>

#include "io/folders/image_folder.h"

namespace flowrun::source {

/// Texts of warnings: pictures that were passed over, and, if labels are read, a single class, folders one level too
/// deep, and pictures with two classes.
std::vector<std::string> remarks(const io::ImageFolder& folder, bool labels_read);

}  // namespace flowrun::source
