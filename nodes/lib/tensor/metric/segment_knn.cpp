#include "nodes/lib/tensor/metric/segment_knn.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/linalg_vector_norm.h>
#include <ATen/ops/ones_like.h>
#include <ATen/ops/topk.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros.h>
#include <algorithm>
#include <stdexcept>
#include <string>

#include "nodes/lib/tensor/device/float32.h"
#include "nodes/lib/tensor/metric/confusion.h"

namespace flowrun::eval {
namespace {

constexpr int64_t ignored = 255;

Tensor normalised(const Tensor& x_ND) { return x_ND.div(at::linalg_vector_norm(x_ND, 2, {-1}, /*keepdim=*/true).clamp_min(1e-12)); }

/// Higher is nearer; by row of the queries it orders as the metric does.
Tensor similarity(const Tensor& queries_MD, const Tensor& keys_ND, Metric metric) {
  if (metric == Metric::cosine) return queries_MD.matmul(normalised(keys_ND).t());
  // -|q - k|^2 + |q|^2
  return queries_MD.matmul(keys_ND.t()).mul(2).sub(keys_ND.square().sum(1));
}

/// Votes of labels [M, K, F], those of `ignored` left out: counts [M, F, classes] int.
Tensor count_votes(const Tensor& labels_MKF, int64_t classes) {
  const Tensor votes = labels_MKF.to(at::kLong), counts = votes.ne(ignored);
  // The last column collects votes that don't count.
  const Tensor slot = at::where(counts, votes, at::ones_like(votes).mul(classes)).transpose(1, 2);
  const Tensor all = at::zeros({votes.size(0), votes.size(2), classes + 1}, votes.options().dtype(at::kInt));
  return all.scatter_add(2, slot, at::ones_like(slot, all.options())).narrow(2, 0, classes);
}

}  // namespace

Tensor nearest(const Tensor& keys_ND, const Tensor& queries_MD, int64_t k, Metric metric, int64_t key_chunk) {
  const int64_t keys = keys_ND.size(0);
  if (k > keys) throw std::invalid_argument("k = " + std::to_string(k) + " neighbours of " + std::to_string(keys) + " labelled patches");
  const Tensor queries = metric == Metric::cosine ? normalised(queries_MD) : queries_MD;
  Tensor best, index;
  for (int64_t begin = 0; begin < keys; begin += key_chunk) {
    const int64_t end = std::min(begin + key_chunk, keys);
    auto [found, place] = at::topk(similarity(queries, keys_ND.slice(0, begin, end), metric), std::min(k, end - begin), 1);
    place = place.add(begin);
    if (best.defined()) {
      const Tensor both = at::cat({best, found}, 1), places = at::cat({index, place}, 1);
      const auto [merged, order] = at::topk(both, std::min(k, both.size(1)), 1);
      best = merged, index = places.gather(1, order);
    } else {
      best = found, index = place;
    }
  }
  return index;
}

Tensor vote(const Tensor& labels_NF, const Tensor& modal_N, const Tensor& index_MK, int64_t classes) {
  const auto of_neighbours = [&](const Tensor& rows) { return rows.index_select(0, index_MK.flatten()).unflatten(0, {index_MK.size(0), -1}); };
  const Tensor counts_MFC = count_votes(of_neighbours(labels_NF), classes);
  const Tensor modal_M1 = count_votes(of_neighbours(modal_N).unsqueeze(2), classes).argmax(2);
  return at::where(counts_MFC.sum(2).gt(0), counts_MFC.argmax(2), modal_M1);
}

std::vector<Tensor> knn_confusions(const Patches& train, const Patches& test, const std::vector<int64_t>& ks, Metric metric, int64_t classes) {
  const at::NoGradGuard no_grad;
  const Float32 precision;
  const int64_t most = *std::max_element(ks.begin(), ks.end()), pixels = test.pixels_NF.size(1);
  // Votes need pixels x classes counters a query.
  const int64_t chunk = std::clamp<int64_t>((int64_t{1} << 26) / (pixels * (classes + most)), 1, 1024);
  const Tensor modal_N = modes(train.pixels_NF);
  std::vector<Tensor> counts(ks.size(), at::zeros({classes, classes}, modal_N.options()));
  for (int64_t begin = 0; begin < test.features_ND.size(0); begin += chunk) {
    const Tensor index_MK = nearest(train.features_ND, test.features_ND.slice(0, begin, begin + chunk), most, metric);
    const Tensor truth_MF = test.pixels_NF.slice(0, begin, begin + chunk);
    for (size_t i = 0; i < ks.size(); ++i) {
      const Tensor named_MF = vote(train.pixels_NF, modal_N, index_MK.narrow(1, 0, ks[i]), classes);
      counts[i] = counts[i].add(confusion(truth_MF, named_MF, classes, ignored));
    }
  }
  return counts;
}

}  // namespace flowrun::eval
