// Convolutions of residual networks: their weights, their cost, and the places of their maps.
#pragma once

#include <string>

#include "nodes/lib/tensor/model/parameters.h"
#include "nodes/lib/tensor/model/pass.h"

namespace flowrun::model {

/// Adds NAME.weight [out, in, kernel, kernel], which starts as He et al. 2015 over the fan-out. Returns its index.
size_t add_convolution(Parameters& parameters, const std::string& name, int64_t in, int64_t out, int64_t kernel);

/// Adds what a convolution, with norm and activation, takes for one picture of `side` values of `element` bytes; a kernel of 3 is padded by 1.
/// Returns the side of its map.
double count_convolution(Cost& cost, const Tensor& weight, int64_t stride, double side, double element);

/// The places of a map as rows: [B, C, H, W] -> [B, H W, C], a view.
Tensor rows_of(const Tensor& map_BCHW);

/// The pictures in the order of memory in which convolutions of so many channels are fastest. Throws NodeError unless they are [B, 3, H, W].
Tensor pictures_for(const Tensor& images_BCHW, int64_t channels);

}  // namespace flowrun::model
