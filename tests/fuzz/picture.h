// Shared by the harnesses of pictures.
#pragma once

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <span>

namespace flowrun::fuzz {

inline constexpr int64_t max_pixels = 1 << 16;  // a header must not make them allocate gigabytes

inline void require(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "%s\n", what);
  std::abort();
}

/// Options and regions follow from the bytes, so that an input is a file as it is.
class Draws {
 public:
  explicit Draws(std::span<const uint8_t> bytes) {
    for (const uint8_t byte : bytes) state_ = (state_ ^ byte) * 1099511628211u;
  }
  int operator()(int n) { return static_cast<int>((state_ = state_ * 6364136223846793005u + 1442695040888963407u) >> 33) % n; }

 private:
  uint64_t state_ = 14695981039346656037u;
};

}  // namespace flowrun::fuzz
