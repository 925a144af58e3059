// Losses between views of a picture. No graph knowledge.
#pragma once

#include <string>

#include "nodes/lib/tensor/tensor.h"

namespace flowrun::loss {

/// The pairs of a target's view t and a student's view v that a loss compares.
///   all_but_same  every v but t itself: DINO, where small crops follow the large ones
///   cross         the other large views alone: BYOL, SimSiam
///   same          v = t alone; by the name of own the target is the mean of the labels of each view
enum class Pairs { all_but_same, cross, same };

/// The names above; throws std::invalid_argument that lists them.
Pairs pairs(const std::string& name);

/// Mean over pictures and pairs of -sum_k q_t log softmax(x_v / temperature), a scalar; float32, or float64 if the scores are. Rows
/// are picture * views + view. `large` and `target` have the same views; `small`, which may be undefined, has `small_views` of its
/// own, which no target is the same as. No gradient reaches the target. Throws std::invalid_argument, naming the numbers, for rows
/// that don't fit together, and for pairs that don't exist: cross or all_but_same with one view in all, small views with the others.
Tensor soft_cross_entropy(const Tensor& large_nK, const Tensor& small_nK, const Tensor& target_nK, int64_t views, int64_t small_views, Pairs pairs,
                          double temperature);

/// Sum over the images of the mean, over each image's rows, of -sum_k q_n log softmax(x_n / temperature), divided by `images`: those without
/// rows count, too (iBOT, DINOv2). image_n int64: the image of each of the n rows, which may be none; undefined: the mean over all rows (UDI), 0
/// without rows. Otherwise as above.
Tensor masked_soft_cross_entropy(const Tensor& scores_nK, const Tensor& target_nK, const Tensor& image_n, int64_t images, double temperature);

/// Mean over pictures and pairs of -cos(p_v, z_t); the target without gradient, if `stop` (SimSiam). Otherwise as soft_cross_entropy.
Tensor negative_cosine(const Tensor& p_nD, const Tensor& target_nD, int64_t views, Pairs pairs, bool stop = true);

/// Mean over the rows of -log(e^(q.k / T) / (e^(q.k / T) + sum over the queue e^(q.n / T))): MoCo. q, k [n, d] and queue [Q, d] are
/// taken as they are, rows of length 1 as a rule; k and queue have no gradient.
Tensor info_nce(const Tensor& q_nd, const Tensor& k_nd, const Tensor& queue_Qd, double temperature);

/// Mean over rows and views of -log(|z - nearest + 1e-8| + 1e-8), rows at length 1, where `nearest` is the other row of the same view with
/// the largest product (DINOv2, KoLeo). Throws std::invalid_argument for less than two pictures.
Tensor koleo(const Tensor& z_nD, int64_t views);

}  // namespace flowrun::loss
