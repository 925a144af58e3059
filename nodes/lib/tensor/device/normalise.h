// Bytes of an image to normalised floats, on the CPU. No graph, no tensor.
#pragma once

#include <cstdint>

namespace flowrun {

/// out[c][i] = in[i][c] * scale[c] + shift[c], product and sum rounded one after the other: H W 3 u8 to 3 H W float.
/// The same on every processor.
void normalise(const uint8_t* in, int64_t pixels, const float* scale, const float* shift, float* out);

}  // namespace flowrun
