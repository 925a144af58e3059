#include "io/resize/resize.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <string>

#include "io/error.h"
#include "io/resize/resize_kernels.h"

namespace flowrun::io {

namespace {

constexpr int widest_for_kernels = 4000;  // taps: beyond, their sums could overflow

double bilinear(double x) {
  x = std::fabs(x);
  return x < 1.0 ? 1.0 - x : 0.0;
}

double bicubic(double x) {
  constexpr double a = -0.5;
  x = std::fabs(x);
  if (x < 1.0) return ((a + 2.0) * x - (a + 3.0)) * x * x + 1;
  if (x < 2.0) return (((x - 5) * x + 8) * x - 4) * a;
  return 0.0;
}

uint8_t to_byte(int32_t sum) { return static_cast<uint8_t>(std::clamp(sum >> resize_bits, 0, 255)); }

// One row of the horizontal pass.
template <int channels>
void filter_row(const uint8_t* in, const int* first, const int* count, const int32_t* coefficients, int taps, int width, bool flip, uint8_t* out) {
  for (int x = 0; x < width; ++x, coefficients += taps) {
    const uint8_t* pixel = in + static_cast<ptrdiff_t>(first[x]) * channels;
    int32_t sums[channels];
    std::fill(sums, sums + channels, resize_half);
    for (int k = 0; k < count[x]; ++k, pixel += channels) {
      for (int c = 0; c < channels; ++c) sums[c] += coefficients[k] * pixel[c];
    }
    uint8_t* const target = out + static_cast<ptrdiff_t>(flip ? width - 1 - x : x) * channels;
    for (int c = 0; c < channels; ++c) target[c] = to_byte(sums[c]);
  }
}

// LENGTH bytes of one output row from COUNT rows above each other. The fixed LENGTH lets the compiler keep the sums in
// vector registers.
template <int length>
void filter_column(const uint8_t* in, ptrdiff_t stride, const int32_t* coefficients, int count, uint8_t* out) {
  int32_t sums[length];
  std::fill(sums, sums + length, resize_half);
  for (int k = 0; k < count; ++k, in += stride) {
    const int32_t coefficient = coefficients[k];
    for (int i = 0; i < length; ++i) sums[i] += coefficient * in[i];
  }
  for (int i = 0; i < length; ++i) out[i] = to_byte(sums[i]);
}

void copy_rows(const uint8_t* in, int height, int width, int channels, bool flip, uint8_t* out) {
  const size_t stride = static_cast<size_t>(width) * static_cast<size_t>(channels);
  if (!flip) {
    std::memcpy(out, in, stride * static_cast<size_t>(height));
    return;
  }
  for (int y = 0; y < height; ++y, in += stride, out += stride) {
    for (int x = 0; x < width; ++x) std::memcpy(out + (width - 1 - x) * channels, in + x * channels, channels);
  }
}

// The arithmetic and its order are Pillow's (src/libImaging/Resample.c): another order rounds differently.
void fill(ResizeTable& table) {
  const double scale = static_cast<double>(table.input) / table.output;
  const double filter_scale = std::max(scale, 1.0);
  const double support = (table.filter == Filter::bicubic ? 2.0 : 1.0) * filter_scale;
  const double step = 1.0 / filter_scale;
  table.taps = static_cast<int>(std::ceil(support)) * 2 + 1;
  table.first.resize(table.output);
  table.count.resize(table.output);
  table.weights.resize(table.taps);
  table.coefficients.assign(static_cast<size_t>(table.output) * static_cast<size_t>(table.taps), 0);
  for (int x = 0; x < table.output; ++x) {
    const double center = (x + 0.5) * scale;
    // NOLINTBEGIN(bugprone-incorrect-roundings): as Pillow does it, to the bit.
    const int first = std::max(static_cast<int>(center - support + 0.5), 0);
    const int count = std::min(static_cast<int>(center + support + 0.5), table.input) - first;
    // NOLINTEND(bugprone-incorrect-roundings)
    double sum = 0.0;
    for (int k = 0; k < count; ++k) {
      const double distance = (k + first - center + 0.5) * step;
      table.weights[k] = table.filter == Filter::bicubic ? bicubic(distance) : bilinear(distance);
      sum += table.weights[k];
    }
    int32_t* const coefficients = table.coefficients.data() + static_cast<size_t>(x) * table.taps;
    for (int k = 0; k < count; ++k) {
      const double weight = sum != 0.0 ? table.weights[k] / sum : table.weights[k];
      coefficients[k] = static_cast<int32_t>((weight < 0 ? -0.5 : 0.5) + weight * (1 << resize_bits));
    }
    table.first[x] = first;
    table.count[x] = count;
  }
}

// Taps in fours for kernels: where the last four would reach past the input, all begin earlier, with zeros.
void pack(ResizeTable& table, const ResizeKernels& kernels) {
  table.fours = (*std::max_element(table.count.begin(), table.count.end()) + 3) / 4;
  if (table.taps > widest_for_kernels || table.fours * 4 > table.input) {
    table.fours = 0;
    return;
  }
  const auto bytes = static_cast<size_t>(kernels.packed_bytes), fours = static_cast<size_t>(table.fours);
  table.packed_first.resize(static_cast<size_t>(table.output));
  table.packed.resize(static_cast<size_t>(table.output) * fours * bytes);
  std::vector<int32_t>& shifted = table.shifted;
  uint8_t* out = table.packed.data();
  for (size_t x = 0; x < static_cast<size_t>(table.output); ++x) {
    const int first = std::min(table.first[x], table.input - table.fours * 4);
    table.packed_first[x] = first;
    shifted.assign(fours * 4, 0);
    std::copy_n(table.coefficients.data() + x * static_cast<size_t>(table.taps), table.count[x], shifted.data() + (table.first[x] - first));
    for (size_t k = 0; k < fours; ++k, out += bytes) kernels.pack(shifted.data() + k * 4, out);
  }
}

}  // namespace

struct Resizer::Cache {
  std::array<ResizeTable, 128> tables;

  const ResizeTable& get(int input, int output, Filter filter, const ResizeKernels* kernels) {
    const uint32_t hash = (static_cast<uint32_t>(input) * 31 + static_cast<uint32_t>(output)) * 2 + (filter == Filter::bicubic ? 1 : 0);
    ResizeTable& table = tables[hash % tables.size()];
    if (table.input != input || table.output != output || table.filter != filter) {
      table.input = input, table.output = output, table.filter = filter;
      fill(table);
      if (kernels != nullptr) pack(table, *kernels);
    }
    return table;
  }
};

Resizer::Resizer(const ResizeKernels* kernels) : kernels_(kernels), cache_(std::make_unique<Cache>()) {}
Resizer::~Resizer() = default;
Resizer::Resizer(Resizer&&) noexcept = default;
Resizer& Resizer::operator=(Resizer&&) noexcept = default;

const ResizeKernels* best_resize_kernels() { return resize_kernels().empty() ? nullptr : resize_kernels().front(); }

void Resizer::filter_rows(const ImageView& in, int width, Filter filter, bool flip, uint8_t* out) {
  const ResizeTable& columns = cache_->get(in.width, width, filter, kernels_);
  const ptrdiff_t in_stride = static_cast<ptrdiff_t>(in.width) * in.channels;
  const ptrdiff_t out_stride = static_cast<ptrdiff_t>(width) * in.channels;
  if (columns.fours == 0 || in.channels != 3 || width < 4) {
    const auto filter_one = in.channels == 3 ? filter_row<3> : filter_row<1>;
    for (int y = 0; y < in.height; ++y) {
      filter_one(in.pixels + y * in_stride, columns.first.data(), columns.count.data(), columns.coefficients.data(), columns.taps, width, flip,
                 out + y * out_stride);
    }
    return;
  }
  // The kernels read four bytes past a row: the last rows get room behind them.
  constexpr ptrdiff_t room = 4;
  const int last = in.height - 1;
  const int safe = static_cast<int>(std::max<ptrdiff_t>(in.height - (room + in_stride - 1) / in_stride, 0));
  tail_.resize(static_cast<size_t>((in.height - safe) * in_stride + room));
  std::memcpy(tail_.data(), in.pixels + safe * in_stride, static_cast<size_t>((in.height - safe) * in_stride));
  RowsPass pass{.first = columns.packed_first.data(), .packed = columns.packed.data(), .fours = columns.fours, .output = width, .flip = flip};
  for (int block = 0; block < in.height; block += 4) {
    for (int i = 0; i < 4; ++i) {
      const int y = std::min(block + i, last);
      pass.in[i] = y < safe ? in.pixels + y * in_stride : tail_.data() + (y - safe) * in_stride;
      pass.out[i] = out + y * out_stride;
    }
    kernels_->filter_rows(pass);
  }
}

void Resizer::filter_columns(const ImageView& in, int height, Filter filter, uint8_t* out) {
  const ResizeTable& rows = cache_->get(in.height, height, filter, kernels_);
  const ptrdiff_t stride = static_cast<ptrdiff_t>(in.width) * in.channels;
  const ptrdiff_t packed_stride = static_cast<ptrdiff_t>(rows.fours) * (kernels_ == nullptr ? 0 : kernels_->packed_bytes);
  for (int y = 0; y < height; ++y, out += stride) {
    if (kernels_ != nullptr && rows.fours > 0 && stride >= 32) {
      kernels_->filter_column(
          {in.pixels + rows.packed_first[y] * stride, stride, rows.packed.data() + y * packed_stride, rows.fours, static_cast<int>(stride), out});
      continue;
    }
    const uint8_t* const first = in.pixels + rows.first[y] * stride;
    const int32_t* const coefficients = rows.coefficients.data() + static_cast<size_t>(y) * rows.taps;
    const int count = rows.count[y];
    ptrdiff_t x = 0;
    for (; x + 64 <= stride; x += 64) filter_column<64>(first + x, stride, coefficients, count, out + x);
    for (; x + 8 <= stride; x += 8) filter_column<8>(first + x, stride, coefficients, count, out + x);
    for (; x < stride; ++x) filter_column<1>(first + x, stride, coefficients, count, out + x);
  }
}

void Resizer::resize(const ImageView& source, int height, int width, Filter filter, bool flip, uint8_t* out) {
  const int channels = source.channels;
  if (height < 1 || width < 1 || source.height < 1 || source.width < 1 || (channels != 1 && channels != 3)) {
    throw Error("cannot resize " + std::to_string(source.width) + "x" + std::to_string(source.height) + " pixels of " + std::to_string(channels) +
                " channels to " + std::to_string(width) + "x" + std::to_string(height));
  }
  // Pillow omits a pass when that size stays, and does the vertical pass first on extremely tall images.
  const bool across = source.width != width;
  const bool down = source.height != height;
  const bool down_first = source.height > static_cast<int64_t>(source.width) * 100 && height < source.height;
  ImageView image = source;
  const auto keep_between = [&](int rows, int columns) {
    const ImageView next{nullptr, rows, columns, channels};
    if (between_.size() < next.bytes()) between_.resize(next.bytes());
    return between_.data();
  };
  if (across && down && down_first) {
    uint8_t* const between = keep_between(height, source.width);
    filter_columns(image, height, filter, between);
    image = {between, height, source.width, channels};
    filter_rows(image, width, filter, flip, out);
    return;
  }
  if (across || flip || !down) {
    uint8_t* const target = down ? keep_between(source.height, width) : out;
    if (across) {
      filter_rows(image, width, filter, flip, target);
    } else {
      copy_rows(image.pixels, image.height, width, channels, flip, target);
    }
    image = {target, source.height, width, channels};
  }
  if (down) filter_columns(image, height, filter, out);
}

}  // namespace flowrun::io
