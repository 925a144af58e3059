// Gaussian noise of a time, added to pictures: the forward process of DDPM (Ho et al. 2020) with the cosine schedule of Nichol and Dhariwal
// (2021), as UMD's code has it.
#pragma once

#include <cstdint>
#include <vector>

#include "nodes/lib/tensor/tensor.h"

namespace flowrun::mim {

/// The share of a picture's variance that is left after 1 to `steps` steps, [steps]: the product of 1 - min(1 - f(i + 1) / f(i), 0.999) with
/// f(i) = cos^2(pi / 2 (i / steps + 0.008) / 1.008).
std::vector<double> cosine_shares(int64_t steps);

/// sqrt(share) x + sqrt(1 - share) noise, picture by picture: x and noise [B, C, H, W], shares of `shares_B` [B] on the host, float64. The
/// shares travel to the pictures' device.
Tensor with_noise(const Tensor& x_BCHW, const Tensor& noise_BCHW, const Tensor& shares_B);

}  // namespace flowrun::mim
