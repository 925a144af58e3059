// Losses between the attention of a student's and of a teacher's blocks. No graph knowledge.
#pragma once

#include "nodes/lib/tensor/tensor.h"

namespace flowrun::loss {

// Queries, keys and values are [B, H, S, E] of the same tokens; widths may differ. Values are scalars, float32, or float64 if the student's are.
// No gradient reaches the teacher. Throws std::invalid_argument, naming the numbers, for what doesn't fit.

/// MiniLM's relations (Wang et al. 2020, 2021): R = softmax(x x' / sqrt(E)) of one of the three with itself; KL(R of the teacher, R of the
/// student), the mean over images, heads and tokens. The width of all heads together is split anew into `heads`; 0: the heads that both
/// have, equally many.
Tensor relation(const Tensor& student_BHSE, const Tensor& teacher_BHSE, int64_t heads);

struct Attention {
  const Tensor& query_BHSE;
  const Tensor& key_BHSE;
};
/// Of the scores q k' / sqrt(E) before the softmax: mean squared difference (TinyBERT, Jiao et al. 2020), or of their softmax KL(teacher,
/// student), the mean over images, heads and tokens (MiniLM). With `mean_of_heads` the mean over each network's heads is compared; otherwise
/// both need equally many.
struct ScoresOptions {
  bool divergence = false, mean_of_heads = false;
};
Tensor attention_scores(const Attention& student, const Attention& teacher, const ScoresOptions& options);

}  // namespace flowrun::loss
