// Addressed randomness: every number is a pure function of (seed, stream, epoch, item, draw). There is no state to
// save, and numbers don't depend on the thread, on the order of calls, or on other draws.
//
// Philox4x32-10: Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace flowrun {

/// 64-bit hash of bytes (XXH3). Stable over machines and versions: it is part of file formats and of randomness.
uint64_t hash_bytes(const void* data, size_t size, uint64_t seed = 0);
inline uint64_t hash_text(std::string_view text) { return hash_bytes(text.data(), text.size()); }

using PhiloxCounter = std::array<uint32_t, 4>;
using PhiloxKey = std::array<uint32_t, 2>;

/// The block cipher itself: 128 random bits for a counter and a key.
PhiloxCounter philox4x32(PhiloxCounter counter, PhiloxKey key);

/// Random numbers of one item (a sample, a group, a parameter) in one random stream (normally a node's name) and epoch.
///
/// Key = seed with the high half of the stream hash folded in; counter = (draw, item low, item high + epoch, stream
/// low). `at(draw)` reads any draw; the other members use the next draws, one after another. Cheap to copy; one thread
/// at a time.
class Rng {
 public:
  Rng(uint64_t seed, uint64_t stream, uint64_t epoch, uint64_t item);

  /// 32 bits of draw number `draw`, wherever the running position is.
  uint32_t at(uint32_t draw) const;

  uint32_t bits() { return at(draw_++); }
  /// Uniform in [0, 1), 53 bits (takes two draws).
  double uniform();
  double uniform(double low, double high) { return low + (high - low) * uniform(); }
  /// Uniform integer in [0, n), n >= 1, without modulo bias (takes at least one draw).
  uint32_t below(uint32_t n);
  bool chance(double p) { return uniform() < p; }
  /// Standard normal (Box-Muller; takes four draws).
  double normal();

  /// Moves the running position to `draw`, so that parts of an item (the images of a group) have separate places.
  void seek(uint32_t draw) { draw_ = draw; }

 private:
  PhiloxKey key_;
  PhiloxCounter counter_;
  uint32_t draw_ = 0;
  mutable uint32_t cached_block_ = ~uint32_t{0};
  mutable PhiloxCounter cache_{};
};

/// A keyed bijection of [0, n): the sample order of an epoch, addressable at any position without a table. A Feistel
/// network over the next power of four, walked along its cycle until it lands inside [0, n). Philox makes the keys of
/// the rounds; a cheap mixer is used within the rounds, since every sample passes here.
class Permutation {
 public:
  Permutation(uint64_t n, uint64_t seed, uint64_t stream, uint64_t epoch);
  uint64_t operator()(uint64_t position) const;

 private:
  uint64_t n_;
  int half_bits_ = 0;
  std::array<uint64_t, 6> keys_;
};

}  // namespace flowrun
