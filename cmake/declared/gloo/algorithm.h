// Declares what c10d's header of Gloo names: LibTorch ships the library, but not these headers. Only pointers to these types
// cross the boundary.
#pragma once

namespace gloo {
class Algorithm;
}  // namespace gloo
