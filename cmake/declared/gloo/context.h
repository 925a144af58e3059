// Declares what c10d's header of Gloo names: LibTorch ships the library, but not these headers. Only pointers to these types
// cross the boundary.
#pragma once

#include <chrono>

namespace gloo {
class Context {
 public:
  void setTimeout(std::chrono::milliseconds timeout);
};
}  // namespace gloo
