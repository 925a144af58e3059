#pragma once

#include <cstdint>
#include <span>

namespace flowrun::io {

// The part of BYTES from the first byte to the end marker, if it is a JPEG that is safe for a decoder without checks: one
// picture of 8 bits, baseline, extended or progressive, Huffman coded, gray or YCbCr; its segments and tables make sense,
// every component has a scan, each scan all its restart markers in order, and the end marker is there. Empty otherwise:
// libjpeg reports the fault, if there is one. It reads every byte but decodes nothing, so wrong codes between two markers
// are not found. Never throws; any thread.
std::span<const uint8_t> plain_jpeg(std::span<const uint8_t> bytes);

}  // namespace flowrun::io
