#include "nodes/lib/host/image/permutations.h"

#include <algorithm>
#include <bit>
#include <numeric>
#include <stdexcept>

#include "graph/contract/rng.h"

namespace flowrun::image {
namespace {

/// An order in 64 bits: four for each place.
using Packed = uint64_t;

Packed pack(const TileOrder& order) {
  Packed packed = 0;
  for (size_t i = 0; i < order.size(); ++i) packed |= Packed{order[i]} << (4 * i);
  return packed;
}

TileOrder unpack(Packed packed, int tiles) {
  TileOrder order(static_cast<size_t>(tiles));
  for (uint8_t& tile : order) tile = packed & 15, packed >>= 4;
  return order;
}

int distance(Packed a, Packed b) {
  const Packed differ = a ^ b, halves = differ | differ >> 2;
  return std::popcount((halves | halves >> 1) & 0x1111111111111111);
}

/// Of a candidate, to the orders that were chosen.
struct Distances {
  int least = 17, sum = 0;
};

std::vector<Packed> candidates(int tiles, Rng& rng) {
  constexpr int kAll = 9, kDrawn = 20000;
  TileOrder order(static_cast<size_t>(tiles));
  std::iota(order.begin(), order.end(), uint8_t{0});
  std::vector<Packed> out;
  if (tiles <= kAll) {
    do out.push_back(pack(order));
    while (std::next_permutation(order.begin(), order.end()));
    return out;
  }
  for (int n = 0; n < kDrawn; ++n) {
    for (size_t i = order.size() - 1; i > 0; --i) std::swap(order[i], order[rng.below(static_cast<uint32_t>(i + 1))]);
    out.push_back(pack(order));
  }
  return out;
}

}  // namespace

int64_t count_orders(int tiles, int64_t limit) {
  int64_t count = 1;
  for (int n = 2; n <= tiles && count < limit; ++n) count *= n;
  return std::min(count, limit);
}

int hamming_distance(const TileOrder& a, const TileOrder& b) { return distance(pack(a), pack(b)); }

std::vector<TileOrder> distant_orders(int tiles, int count) {
  // The seed is the smallest one that keeps 100 orders of 9 tiles 7 places apart; other numbers would be as good.
  constexpr uint64_t kSeed = 1;
  Rng rng(kSeed, hash_text("image.tiles"), 0, 0);
  const std::vector<Packed> all = candidates(tiles, rng);
  if (tiles < 2 || tiles > 16 || static_cast<size_t>(count) > all.size()) {
    throw std::invalid_argument("there are not " + std::to_string(count) + " orders of " + std::to_string(tiles) + " tiles");
  }
  std::vector<Distances> to_chosen(all.size());
  std::vector<TileOrder> chosen;
  size_t next = rng.below(static_cast<uint32_t>(all.size()));
  while (static_cast<int>(chosen.size()) < count) {
    const Packed order = all[next];
    chosen.push_back(unpack(order, tiles));
    for (size_t i = 0; i < all.size(); ++i) {
      const int apart = distance(all[i], order);
      to_chosen[i].least = std::min(to_chosen[i].least, apart), to_chosen[i].sum += apart;
    }
    const auto better = [](const Distances& a, const Distances& b) { return a.least != b.least ? a.least > b.least : a.sum < b.sum; };
    next = static_cast<size_t>(std::min_element(to_chosen.begin(), to_chosen.end(), better) - to_chosen.begin());
  }
  return chosen;
}

}  // namespace flowrun::image
