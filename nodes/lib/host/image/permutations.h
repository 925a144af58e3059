// The permutations of a jigsaw puzzle (Noroozi and Favaro, 2016): few, and far apart. No graph knowledge.
#pragma once

#include <cstdint>
#include <vector>

namespace flowrun::image {

/// The places of a puzzle's tiles: place i shows tile [i].
using TileOrder = std::vector<uint8_t>;

/// How many orders of so many tiles there are, `limit` at most.
int64_t count_orders(int tiles, int64_t limit);

/// In how many places two orders differ.
int hamming_distance(const TileOrder& a, const TileOrder& b);

/// `count` orders of `tiles` tiles (2 to 16), the same at every call. The first is drawn by a fixed seed. Each next one is the candidate
/// whose smallest distance to those before is largest; of several the one with the smallest sum of distances, which leaves more room
/// to those that follow, and then the first. Candidates are all orders, sorted, of up to 9 tiles, and 20,000 drawn ones of more. Throws
/// std::invalid_argument if there are fewer candidates than `count`.
std::vector<TileOrder> distant_orders(int tiles, int count);

}  // namespace flowrun::image
