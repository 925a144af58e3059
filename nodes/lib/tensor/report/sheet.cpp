#include "nodes/lib/tensor/report/sheet.h"

#include <algorithm>

#include "graph/contract/shown.h"

namespace flowrun {
namespace {

uint8_t blend(uint8_t a, uint8_t b, int percent) { return static_cast<uint8_t>((a * (100 - percent) + b * percent + 50) / 100); }

class Sheet {
 public:
  Sheet(const ImageBatch& images, const Masks* masks, int64_t count, int side)
      : images_(images), masks_(masks), count_(std::min(count, images.images)), zoom_(std::max(1, side / std::max(1, images.width))) {
    const int rows = masks ? 3 : 1;
    out_.reshape(gutter + rows * (tile_height() + gutter), gutter + static_cast<int>(count_) * (tile_width() + gutter), 3);
    std::fill(out_.pixels.begin(), out_.pixels.end(), paper[0]);
  }

  io::PixelBuffer draw() {
    for (int64_t i = 0; i < count_; ++i) {
      tile(i, 0, [](int, const Colour& colour) { return colour; });
      if (!masks_) continue;
      const ShownMask mask = masks_->shown(i * masks_->repeats);
      tile(i, 1, [&](int patch, const Colour& colour) {
        return mask.visible[static_cast<size_t>(patch)] ? colour : wash(colour, hidden_colour, hidden_percent);
      });
      tile(i, 2, [&](int patch, const Colour& colour) { return tinted(colour, mask.regions[static_cast<size_t>(patch)]); });
    }
    return std::move(out_);
  }

 private:
  int tile_width() const { return images_.width * zoom_; }
  int tile_height() const { return images_.height * zoom_; }

  /// `shade` gives the colour of a pixel from its patch and its own colour.
  template <class Shade>
  void tile(int64_t image, int row, Shade&& shade) {
    const io::ImageView view = images_.view(image);
    const int top = gutter + row * (tile_height() + gutter), left = gutter + static_cast<int>(image) * (tile_width() + gutter);
    const int patch = masks_ ? images_.width / masks_->grid : images_.width;
    for (int y = 0; y < tile_height(); ++y) {
      uint8_t* to = out_.pixels.data() + (static_cast<size_t>(top + y) * static_cast<size_t>(out_.width) + static_cast<size_t>(left)) * 3;
      for (int x = 0; x < tile_width(); ++x, to += 3) {
        const int py = y / zoom_, px = x / zoom_;
        const uint8_t* from = view.pixels + (static_cast<size_t>(py) * static_cast<size_t>(view.width) + static_cast<size_t>(px)) * 3;
        const Colour colour = shade(masks_ ? py / patch * masks_->grid + px / patch : 0, Colour{from[0], from[1], from[2]});
        std::copy(colour.begin(), colour.end(), to);
      }
    }
  }

  const ImageBatch& images_;
  const Masks* masks_;
  int64_t count_;
  int zoom_;
  io::PixelBuffer out_;
};

}  // namespace

Colour wash(const Colour& a, const Colour& b, int percent) {
  return {blend(a[0], b[0], percent), blend(a[1], b[1], percent), blend(a[2], b[2], percent)};
}

Colour tinted(Colour colour, const std::vector<int>& regions) {
  colour = wash(colour, paper, 45);
  for (const int r : regions) colour = wash(colour, region_colours[static_cast<size_t>(r) % std::size(region_colours)], 55);
  return colour;
}

io::PixelBuffer contact_sheet(const ImageBatch& images, const Masks* masks, int64_t count, int side) {
  return Sheet(images, masks, count, side).draw();
}

}  // namespace flowrun
