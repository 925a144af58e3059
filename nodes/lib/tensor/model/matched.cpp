#include "nodes/lib/tensor/model/matched.h"

#include <algorithm>
#include <numeric>
#include <stdexcept>
#include <string>

#include "nodes/lib/tensor/device/send.h"
#include "nodes/lib/tensor/model/rows.h"

namespace flowrun::model {
namespace {

/// Indices that sort the pairs by one of their views.
std::vector<int64_t> order_of(const std::vector<int64_t>& view_of_pair) {
  std::vector<int64_t> order(view_of_pair.size());
  std::iota(order.begin(), order.end(), int64_t{0});
  std::ranges::stable_sort(order, {}, [&](int64_t pair) { return view_of_pair[static_cast<size_t>(pair)]; });
  return order;
}

std::vector<int64_t> inverse(const std::vector<int64_t>& order) {
  std::vector<int64_t> out(order.size());
  for (size_t i = 0; i < order.size(); ++i) out[static_cast<size_t>(order[i])] = static_cast<int64_t>(i);
  return out;
}

Tensor on(const std::vector<int64_t>& index, const Tensor& like) {
  return send(index.data(), {static_cast<int64_t>(index.size())}, at::kLong, like.device());
}

void check(const Tensor& patches, int64_t pictures, int64_t views, int64_t grid) {
  if (patches.size(0) == pictures * views && patches.size(1) == grid * grid) return;
  const auto n = [](int64_t value) { return std::to_string(value); };
  throw std::invalid_argument("the matches are of " + n(pictures) + " pictures with " + n(views) + " views of " + n(grid) + "x" + n(grid) +
                              " cells, the tokens of " + n(patches.size(0)) + " images with " + n(patches.size(1)));
}

}  // namespace

Tensor matched(const AttentionPool& pool, const Tensor& patch_BND, const DeviceMatches& matches, MatchSide side) {
  const bool from = side == MatchSide::from;
  const MatchLayout& layout = matches.layout;
  const int64_t pictures = matches.pictures, pairs = layout.pairs(), rows = layout.rows, views = from ? layout.from_views : layout.to_views;
  check(patch_BND, pictures, views, from ? layout.from_grid : layout.to_grid);
  // Pairs that share a view on this side share its keys. They lie side by side already where that is the first view.
  const std::vector<int64_t> order = order_of(from ? layout.from_view : layout.to_view);
  const auto by_view = [&](const Tensor& x_msP) {
    const Tensor x = x_msP.view({pictures, pairs, rows, -1});
    return (from ? x : x.index_select(1, on(order, x))).reshape({pictures * views, pairs / views * rows, -1});
  };
  Tensor out = from ? pool.apply(patch_BND, by_view(matches.from_ms.unsqueeze(-1)), {})
                    : pool.apply(patch_BND, by_view(matches.to_ms4), by_view(matches.weights_ms4));
  out = out.reshape({pictures, pairs, rows, -1});
  if (!from) out = out.index_select(1, on(inverse(order), out));
  return flat_rows(out.flatten(0, 1), matches.valid_n);
}

}  // namespace flowrun::model
