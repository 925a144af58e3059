// Warnings about a folder of pictures, before it is used.
#pragma once

#include <string>
#include <vector>

#include "io/folders/image_folder.h"

namespace flowrun::source {

/// The warning that data have one class alone; labels are read.
std::string one_class_remark(const std::string& place, const std::string& name);

/// Texts of warnings: pictures that were passed over, and, if labels are read, a single class, folders one level too
/// deep, and pictures with two classes.
std::vector<std::string> remarks(const io::ImageFolder& folder, bool labels_read);

}  // namespace flowrun::source
