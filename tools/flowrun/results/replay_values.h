// The values that `flowrun replay` shows of an output: a sample's own part of it, its shape and its hash.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <variant>

#include "graph/node.h"
#include "nodes/host.h"

namespace flowrun::tool {

/// A type of which only bytes() is known here: one of a plug-in, or of a device.
struct Other {
  std::string type;
};

/// A copy. Of a batch it is the sample's part, in the type that it had before: an image of its views, a label, its masks.
using SeenValue = std::variant<Other, Bytes, Label, Region, Image, LabelMap, Masks>;

/// `place` is that of the sample among the `samples` of its group; a node of samples has 0 and 1.
SeenValue copy_of(const TypeOps& type, const void* object, int64_t place, int64_t samples);

/// Whether there is anything to show: the run leaves some outputs empty.
bool has_content(const SeenValue& value);
/// "224 x 224 x 3", "120 x 96 at y 33, x 20", …
std::string shape_of(const SeenValue& value);
/// XXH3 of its contents, for images exactly the pixels; 0 for an unknown type.
uint64_t content_hash(const SeenValue& value);
/// Further values for programs: boxes, counts of masks, a label.
nlohmann::ordered_json details_of(const SeenValue& value);

std::string hex(uint64_t value);

}  // namespace flowrun::tool
