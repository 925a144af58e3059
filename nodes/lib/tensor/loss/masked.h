// Differences of maps under several masks. No graph knowledge.
#pragma once

#include "nodes/lib/tensor/tensor.h"

namespace flowrun::loss {

/// Of maps [B, P, C] with masks [B, M, P] of places or [B, M, C] of channels, in 0 to 1: mean squared differences weighted by each mask, divided
/// by its sum; the mean over images and masks. Float32, or float64 if the student's map is. No gradient reaches the teacher.
Tensor masked_places(const Tensor& student_BPC, const Tensor& teacher_BPC, const Tensor& mask_BMP);
Tensor masked_channels(const Tensor& student_BPC, const Tensor& teacher_BPC, const Tensor& mask_BMC);

/// How much masks [B, M, X] cover the same: Dice's 2 a.b / (a.a + b.b), the mean over images and pairs; 0 of one mask.
Tensor overlap(const Tensor& mask_BMX);

}  // namespace flowrun::loss
