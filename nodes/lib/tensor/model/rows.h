// Picking token rows by patch index.
#pragma once

#include "nodes/lib/tensor/tensor.h"

namespace flowrun::model {

/// Rows of each image: x_BND [B, N, D] (or a row slice of a longer sequence), index [B, …] int64 -> [B, …, D].
///
/// Throws std::out_of_range for an index outside [0, N) if the indices are on the host; on a device they are not
/// checked.
Tensor gather_rows(const Tensor& x_BND, const Tensor& index);

/// The same where an image has several rows of indices, side by side: index [B r, …] -> [B r, …, D].
Tensor gather_repeated(const Tensor& x_BND, const Tensor& index);

/// Rows counted over all images: x_BND, index [n] int64 (image * N + row) -> [n, D]. Out of range: as above.
Tensor flat_rows(const Tensor& x_BND, const Tensor& index_n);

/// One over the number of rows of each row's image, [n], for means over images: image_n int64 is the image of each row, below `images`.
Tensor share_of_image(const Tensor& image_n, int64_t images, at::ScalarType type);

/// Rows of one table for all images: table_ND, index […] int64 -> […, D]. Out of range: as above.
Tensor table_rows(const Tensor& table_ND, const Tensor& index);

/// int64 and, if the indices are on the host, in [0, rows): else throws as gather_rows does.
void check_indices(const Tensor& index, int64_t rows);

/// x / max(|x|, 1e-12) over the last axis, as torch.nn.functional.normalize; float32, or float64 if x is.
Tensor unit_rows(const Tensor& x);

}  // namespace flowrun::model
