// Losses between the maps of a student's and a teacher's stages. No graph knowledge.
#pragma once

#include <vector>

#include "nodes/lib/tensor/tensor.h"

namespace flowrun::loss {

// Maps are [B, C, H, W] of the same pictures; the larger one is average-pooled to the size of the smaller one. Values are scalars, float32,
// or float64 if the student's map is. No gradient reaches the teacher. Throws std::invalid_argument, naming the numbers, for maps that
// don't fit: other pictures, one higher and the other wider, or other channels where a loss compares channel by channel.

/// How far two maps are apart: the mean of squared differences, or of absolute ones.
enum class Distance { squared, absolute };

/// Attention transfer (Zagoruyko and Komodakis 2017): mean over images and places of the squared difference of attention maps, which are
/// the mean of the squared channels, flattened, at length 1. Channels may differ. Absolute differences are RepDistiller's of factors (FT, Kim et al.
/// 2018).
Tensor attention_map(const Tensor& student_BCHW, const Tensor& teacher_BCHW, Distance distance = Distance::squared);

/// Activation boundaries (Heo et al. 2019), of maps before their ReLU: sum over channels and places, mean over images, of the square of what the
/// student's value lacks to `margin` where the teacher's is above 0, and to -margin elsewhere.
Tensor activation_boundaries(const Tensor& student_BCHW, const Tensor& teacher_BCHW, double margin);
/// The sum over as many stages of both: the last one counts once, each one before it half as much as the next.
Tensor activation_boundaries(const std::vector<Tensor>& student, const std::vector<Tensor>& teacher, double margin);

/// Neuron selectivity transfer (Huang and Wang 2017): squared maximum mean discrepancy between channels as samples, each at length 1 over
/// the places, with the kernel (x.y)²; means over images and pairs. Channels may differ.
Tensor neuron_selectivity(const Tensor& student_BCHW, const Tensor& teacher_BCHW);

/// Hints (FitNets, Romero et al. 2015): mean squared difference of all elements.
Tensor hint(const Tensor& student_BCHW, const Tensor& teacher_BCHW);

/// Variational information distillation (Ahn et al. 2019): mean over all elements of half of (s - t)² / v + log v; `variance_C` is v of
/// each channel.
Tensor variational_information(const Tensor& student_BCHW, const Tensor& teacher_BCHW, const Tensor& variance_C);

/// Flow of solution procedure (Yim et al. 2017) from one stage to a later one: mean squared difference of the products of channels of both
/// stages, the mean over places. The low stages need equal channels, and the high ones; student's and teacher's maps may differ in size.
struct StagePair {
  const Tensor& low_BCHW;
  const Tensor& high_BCHW;
};
Tensor solution_flow(const StagePair& student, const StagePair& teacher);

}  // namespace flowrun::loss
