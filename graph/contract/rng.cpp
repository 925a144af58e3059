#include "graph/contract/rng.h"

#include <cmath>
#include <numbers>
#include <utility>

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace flowrun {

uint64_t hash_bytes(const void* data, size_t size, uint64_t seed) { return XXH3_64bits_withSeed(data, size, seed); }

PhiloxCounter philox4x32(PhiloxCounter c, PhiloxKey k) {
  for (int round = 0; round < 10; ++round) {
    const uint64_t a = uint64_t{0xD2511F53} * c[0];
    const uint64_t b = uint64_t{0xCD9E8D57} * c[2];
    c = {static_cast<uint32_t>(b >> 32) ^ c[1] ^ k[0], static_cast<uint32_t>(b), static_cast<uint32_t>(a >> 32) ^ c[3] ^ k[1],
         static_cast<uint32_t>(a)};
    k[0] += 0x9E3779B9;
    k[1] += 0xBB67AE85;
  }
  return c;
}

Rng::Rng(uint64_t seed, uint64_t stream, uint64_t epoch, uint64_t item)
    : key_{static_cast<uint32_t>(seed) ^ static_cast<uint32_t>(stream >> 32), static_cast<uint32_t>(seed >> 32)},
      counter_{0, static_cast<uint32_t>(item), static_cast<uint32_t>(item >> 32) + 0x9E3779B9u * static_cast<uint32_t>(epoch),
               static_cast<uint32_t>(stream)} {}

uint32_t Rng::at(uint32_t draw) const {
  const uint32_t block = draw / 4;
  if (block != cached_block_) {
    PhiloxCounter counter = counter_;
    counter[0] = block;
    cache_ = philox4x32(counter, key_);
    cached_block_ = block;
  }
  return cache_[draw % 4];
}

double Rng::uniform() {
  const uint64_t high = bits() >> 5;
  const uint64_t low = bits() >> 6;
  return static_cast<double>(high << 26 | low) * 0x1.0p-53;
}

uint32_t Rng::below(uint32_t n) {
  // Lemire's multiplication with rejection of the short interval.
  uint64_t product = uint64_t{bits()} * n;
  if (static_cast<uint32_t>(product) < n) {
    const uint32_t threshold = (0u - n) % n;
    while (static_cast<uint32_t>(product) < threshold) product = uint64_t{bits()} * n;
  }
  return static_cast<uint32_t>(product >> 32);
}

double Rng::normal() {
  const double radius = std::sqrt(-2.0 * std::log(1.0 - uniform()));
  return radius * std::cos(2.0 * std::numbers::pi * uniform());
}

Permutation::Permutation(uint64_t n, uint64_t seed, uint64_t stream, uint64_t epoch) : n_(n) {
  while ((uint64_t{1} << (2 * half_bits_)) < n) ++half_bits_;
  const uint64_t salt = stream ^ (epoch * 0x9E3779B97F4A7C15ull);
  for (uint32_t round = 0; round < keys_.size(); ++round) {
    const auto block = philox4x32({round, static_cast<uint32_t>(salt), static_cast<uint32_t>(salt >> 32), 0},
                                  {static_cast<uint32_t>(seed), static_cast<uint32_t>(seed >> 32)});
    keys_[round] = uint64_t{block[1]} << 32 | block[0];
  }
}

uint64_t Permutation::operator()(uint64_t position) const {
  const uint64_t mask = (uint64_t{1} << half_bits_) - 1;
  uint64_t value = position;
  do {
    uint64_t left = value >> half_bits_;
    uint64_t right = value & mask;
    for (const uint64_t key : keys_) {
      uint64_t mixed = (right ^ key) * 0xBF58476D1CE4E5B9ull;
      mixed = (mixed ^ (mixed >> 32)) * 0x94D049BB133111EBull;
      left = std::exchange(right, left ^ (mixed >> 32 & mask));
    }
    value = left << half_bits_ | right;
  } while (value >= n_);
  return value;
}

}  // namespace flowrun
