// Segmentation by the nearest patches of labelled images (CAPI). No graph knowledge.
#pragma once

#include <vector>

#include "nodes/lib/tensor/metric/patches.h"

namespace flowrun::eval {

enum class Metric { cosine, l2 };

/// Exact search, the nearest first: [M, k] int64 rows of the keys. Keys pass in chunks whose best are merged, so memory
/// is bounded by chunks. Throws std::invalid_argument when k exceeds the keys.
Tensor nearest(const Tensor& keys_ND, const Tensor& queries_MD, int64_t k, Metric metric, int64_t key_chunk = 262'144);

/// Each pixel of a query's patch becomes the most frequent label that its neighbours have at that place; of equally
/// frequent ones the smallest. Pixels without a label don't vote; where none votes, the neighbours' modal labels do.
/// labels_NF u8, modal_N int64 (none 255), index_MK -> [M, F] int64. All labels below `classes`, or 255.
Tensor vote(const Tensor& labels_NF, const Tensor& modal_N, const Tensor& index_MK, int64_t classes);

/// For each of `ks` the confusion [classes, classes] of all pixels of `test` that have a label. `train` holds labelled
/// patches alone.
std::vector<Tensor> knn_confusions(const Patches& train, const Patches& test, const std::vector<int64_t>& ks, Metric metric, int64_t classes);

}  // namespace flowrun::eval
