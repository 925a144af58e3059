#include "tools/app/replay/replay_picture.h"

#include <algorithm>
#include <functional>
#include <optional>

#include "graph/text/error.h"
#include "io/codec/image_decoder.h"
#include "io/error.h"
#include "io/resize/resize.h"
#include "nodes/lib/tensor/report/sheet.h"

namespace flowrun::app {
namespace {

constexpr int gutter = 6, enlarged = 256, largest = 512, box_line = 2;

using Shade = std::function<Colour(int y, int x, const Colour& colour)>;

void put(io::PixelBuffer& canvas, int y, int x, const Colour& colour) {
  std::copy(colour.begin(), colour.end(), canvas.pixels.begin() + (static_cast<ptrdiff_t>(y) * canvas.width + x) * 3);
}

/// Each pixel a square of `zoom`; `shade` gives its colour from place and colour in the view.
io::PixelBuffer tile(const io::ImageView& view, int zoom, const Shade& shade) {
  io::PixelBuffer out;
  out.reshape(view.height * zoom, view.width * zoom, 3);
  for (int y = 0; y < out.height; ++y) {
    for (int x = 0; x < out.width; ++x) {
      const uint8_t* from = view.pixels + (static_cast<size_t>(y / zoom) * static_cast<size_t>(view.width) + static_cast<size_t>(x / zoom)) *
                                              static_cast<size_t>(view.channels);
      const Colour colour = view.channels == 3 ? Colour{from[0], from[1], from[2]} : Colour{from[0], from[0], from[0]};
      put(out, y, x, shade(y / zoom, x / zoom, colour));
    }
  }
  return out;
}

Colour as_it_is(int, int, const Colour& colour) { return colour; }

int zoom_of(const io::ImageView& view) { return std::max(1, enlarged / std::max(view.height, view.width)); }

/// Outlines `box`, which is given in pixels of a picture of this size.
void draw_box(io::PixelBuffer& canvas, const io::Rect& box, const io::Rect& picture, const Colour& colour) {
  const auto scaled = [](int at, int to, int from) { return static_cast<int>(static_cast<int64_t>(at) * to / from); };
  const int left = scaled(box.x, canvas.width, picture.width), right = scaled(box.x + box.width, canvas.width, picture.width);
  const int top = scaled(box.y, canvas.height, picture.height), bottom = scaled(box.y + box.height, canvas.height, picture.height);
  for (int y = std::max(0, top); y < std::min(bottom, canvas.height); ++y) {
    for (int x = std::max(0, left); x < std::min(right, canvas.width); ++x) {
      if (y < top + box_line || y >= bottom - box_line || x < left + box_line || x >= right - box_line) put(canvas, y, x, colour);
    }
  }
}

std::optional<io::PixelBuffer> whole_picture(const std::vector<uint8_t>& file, const std::vector<Shown::Boxes>& regions) {
  io::PixelBuffer pixels, out;
  // In the orientation of the regions; without regions, as EXIF turns it.
  const bool oriented = regions.empty() || regions[0].oriented;
  try {
    io::ImageDecoder().decode(file, {.region = {}, .apply_orientation = oriented, .keep_truncated = true}, pixels);
  } catch (const io::Error&) {
    return {};  // its fault may be the subject of the replay
  }
  const int side = std::max(pixels.height, pixels.width);
  if (side > largest) {
    const auto shrunk = [&](int length) { return std::max(1, static_cast<int>(static_cast<int64_t>(length) * largest / side)); };
    out.reshape(shrunk(pixels.height), shrunk(pixels.width), 3);
    io::Resizer().resize(pixels.view(), out.height, out.width, io::Filter::bicubic, false, out.pixels.data());
  } else {
    out = tile(pixels.view(), zoom_of(pixels.view()), as_it_is);
  }
  size_t colour = 0;
  for (const Shown::Boxes& region : regions) {
    if (region.oriented != oriented) continue;
    for (const Shown::Box& box : region.boxes) {
      draw_box(out, {box.x, box.y, box.width, box.height}, {0, 0, pixels.width, pixels.height}, region_colours[colour++ % std::size(region_colours)]);
    }
  }
  return out;
}

std::vector<io::PixelBuffer> tiles_of(const PictureRow& row, int view) {
  const Shown::Pixels& image = *row.image;
  const auto size = static_cast<size_t>(image.height) * static_cast<size_t>(image.width) * static_cast<size_t>(image.channels);
  const io::ImageView pixels{image.values.data() + static_cast<size_t>(view) * size, image.height, image.width, image.channels};
  const int zoom = zoom_of(pixels);
  std::vector<io::PixelBuffer> out = {tile(pixels, zoom, as_it_is)};
  for (const Shown* masks : row.masks) {
    for (int64_t repeat = 0; repeat < masks->repeats; ++repeat) {
      const ShownMask& mask = masks->masks[static_cast<size_t>(view * masks->repeats + repeat)];
      const auto patch = [&](int y, int x) {
        const int row = y * mask.grid / pixels.height, column = x * mask.grid / pixels.width;
        return static_cast<size_t>(row) * static_cast<size_t>(mask.grid) + static_cast<size_t>(column);
      };
      out.push_back(tile(pixels, zoom, [&](int y, int x, const Colour& colour) {
        return mask.visible[patch(y, x)] ? colour : wash(colour, hidden_colour, hidden_percent);
      }));
      out.push_back(tile(pixels, zoom, [&](int y, int x, const Colour& colour) { return tinted(colour, mask.regions[patch(y, x)]); }));
    }
  }
  return out;
}

/// Draws a frame in the gutter around a part.
void frame(io::PixelBuffer& canvas, int top, int left, int height, int width, const Colour& colour) {
  const io::Rect ring{left - box_line, top - box_line, width + 2 * box_line, height + 2 * box_line};
  draw_box(canvas, ring, {0, 0, canvas.width, canvas.height}, colour);
}

void paste(io::PixelBuffer& canvas, const io::PixelBuffer& part, int top, int left) {
  for (int y = 0; y < part.height; ++y) {
    std::copy_n(part.pixels.begin() + static_cast<ptrdiff_t>(y) * part.width * 3, part.width * 3,
                canvas.pixels.begin() + (static_cast<ptrdiff_t>(top + y) * canvas.width + left) * 3);
  }
}

}  // namespace

io::PixelBuffer replay_picture(const std::vector<uint8_t>* file, const std::vector<Shown::Boxes>& regions, const std::vector<PictureRow>& rows) {
  const std::optional<io::PixelBuffer> whole = file ? whole_picture(*file, regions) : std::nullopt;
  struct Placed {
    io::PixelBuffer tile;
    int top, left;
    std::optional<Colour> frame;
  };
  std::vector<Placed> parts;
  int begin = gutter, top = gutter, width = gutter, height = gutter;
  const auto place = [&](io::PixelBuffer part, int y, int x, std::optional<Colour> frame = {}) {
    width = std::max(width, x + part.width + gutter), height = std::max(height, y + part.height + gutter);
    parts.push_back({std::move(part), y, x, frame});
  };
  if (whole) place(*whole, gutter, gutter), begin = width;
  for (const PictureRow& row : rows) {
    for (int view = 0; view < row.image->views; ++view) {
      int left = begin, below = top;
      std::optional<Colour> mark;  // which box it is of
      if (regions.size() == 1 && regions[0].boxes.size() > 1) mark = region_colours[static_cast<size_t>(view) % std::size(region_colours)];
      for (io::PixelBuffer& part : tiles_of(row, view)) {
        const int right = left + part.width + gutter;
        below = std::max(below, top + part.height + gutter);
        place(std::move(part), top, std::exchange(left, right), std::exchange(mark, {}));
      }
      top = below;
    }
  }
  if (parts.empty()) throw RunError("there is nothing to draw: no image came so far, and the file can't be decoded");
  io::PixelBuffer canvas;
  canvas.reshape(height, width, 3);
  std::fill(canvas.pixels.begin(), canvas.pixels.end(), paper[0]);
  for (const Placed& part : parts) {
    paste(canvas, part.tile, part.top, part.left);
    if (part.frame) frame(canvas, part.top, part.left, part.tile.height, part.tile.width, *part.frame);
  }
  return canvas;
}

}  // namespace flowrun::app
