// From maps of hidden patches to lists of visible and target patches: the last stage of every generator whose targets
// are the hidden patches, as one region. Random numbers are addressed by row = image * repeats + repeat, so that masks
// depend on each other only through the group's common counts.
#pragma once

#include <cstdint>
#include <vector>

#include "graph/contract/rng.h"
#include "nodes/lib/host/types/host_types.h"

namespace flowrun::mask {

/// Draws of a group: 0 to 2^16 - 1 for what its masks share, then as many for each row.
constexpr uint32_t draws_per_row = 1u << 16;
/// The numbers of one row from its draw `draw` on. The upper half is taken by fill_lists().
Rng row_rng(const Rng& group, int64_t row, uint32_t draw = 0);

/// floor(share of count), where 0.1 of 30 is 3 although the product is a bit less.
int64_t share_of(int64_t count, double share);

/// Puts a random `count` of the items at the front; a larger count leaves those of a smaller one in place.
void draw_lots(std::vector<int64_t>& items, int64_t count, Rng& rng);

/// How many of its patches each image hides: the masked images (masked_share of all) take one each of as many equal parts of [low, high],
/// in random order; the others hide none (DINOv2). Takes the group's first draws and the first spread_draws of each row.
std::vector<int64_t> spread_counts(int64_t patches, int64_t images, double low, double high, double masked_share, const Rng& group);
constexpr uint32_t spread_draws = 2;

/// Gives `out` its shape and a map of zeros for the generator to mark (rows N, 1: hidden). Throws std::runtime_error
/// when there are more rows than there are random numbers for.
void start_maps(int grid, int64_t images, int64_t repeats, Masks& out);
uint8_t* map_of_row(Masks& masks, int64_t row);

/// Makes the lists from the map: visible = not hidden, targets = hidden, at most `most_targets` of them, chosen at
/// random. Rows with more than the smallest count of the group are cut to it at random. `keep_map`: rows may differ in
/// their counts, so the map stays. Throws std::runtime_error when a row has no visible patch.
void fill_lists(const Rng& group, int64_t most_targets, bool keep_map, Masks& out);

}  // namespace flowrun::mask
