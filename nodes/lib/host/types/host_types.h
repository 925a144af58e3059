// The types that travel between host nodes. No tensors here.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <mutex>
#include <vector>

#include "graph/contract/planned.h"
#include "io/codec/image.h"
#include "nodes/lib/host/device/host_memory.h"

namespace flowrun {

struct Shown;      // graph/contract/shown.h
struct ShownMask;  // the same

/// An encoded image as it lies on disk.
struct Bytes {
  static constexpr const char* type_name = "bytes";
  std::vector<uint8_t> data;
  void show(Shown& out, int64_t place, int64_t samples) const;
  static void plan(const PlannedGroup& group, Planned& out);
};

/// Class index, -1 when unknown: of the whole picture, or of each of its views.
struct Label {
  static constexpr const char* type_name = "label";
  int64_t value = -1;
  std::vector<int64_t> views;  // empty: all views have `value`
  void show(Shown& out, int64_t place, int64_t samples) const;
  static void plan(const PlannedGroup& group, Planned& out);
};

/// A rectangle of the whole picture, in pixels; or several, with `rect` the smallest rectangle around all.
struct Region {
  static constexpr const char* type_name = "region";
  io::Rect rect;
  bool oriented = false;        // of the picture as EXIF turns it; else as it is stored
  std::vector<io::Rect> views;  // empty unless there are several

  int count() const { return views.empty() ? 1 : static_cast<int>(views.size()); }

  bool operator==(const Region&) const = default;
  void show(Shown& out, int64_t place, int64_t samples) const;
  static void plan(const PlannedGroup& group, Planned& out);
};

/// H W 3 u8, or several views of one picture. `covers` is the part of the whole picture that the pixels show, all views
/// together. There are fewer pixels than it has when the picture was shrunk while decoding, or resized.
struct Image {
  static constexpr const char* type_name = "image";
  io::PixelBuffer pixels;
  Region covers;
  void show(Shown& out, int64_t place, int64_t samples) const;
  static void plan(const PlannedGroup& group, Planned& out);
};

/// For nodes whose output is InPlace: copies `in` to `out`, unless they are the same object.
template <class T>
void change_in_place(const T& in, T& out) {
  if (&in != &out) out = in;
}

/// The images of a group: B H W 3 u8; of pictures with several views B counts the views, those of a picture side by
/// side. Places are written by several threads, each its own.
///
/// Page-locked memory is returned after the last reader: a device may still be copying it, and its cache reuses it only when
/// the copy is done. Other memory stays for the next group.
struct ImageBatch {
  static constexpr const char* type_name = "images";
  BatchBytes pixels;
  int64_t images = 0;  // B
  int height = 0, width = 0, channels = 3, views = 1;

  ImageBatch& operator=(const ImageBatch& other) {
    pixels = other.pixels;
    images = other.images, height = other.height, width = other.width, channels = other.channels, views = other.views;
    shaped_.store(true, std::memory_order_release);
    return *this;
  }

  size_t image_bytes() const { return static_cast<size_t>(height) * static_cast<size_t>(width) * static_cast<size_t>(channels); }
  size_t bytes() const { return pixels.size(); }
  io::ImageView view(int64_t i) const { return {pixels.data() + static_cast<size_t>(i) * image_bytes(), height, width, channels}; }

  void release() {
    if (pinned_memory() == nullptr) return;
    BatchBytes().swap(pixels);
    shaped_.store(false, std::memory_order_release);
  }

  void show(Shown& out, int64_t place, int64_t samples) const;
  static void plan(const PlannedGroup& group, Planned& out);

  /// The place of picture `i`, for `each` views of it; the first caller of all gives the batch its shape. Null: the shape
  /// differs from the others'.
  uint8_t* place(int64_t i, int64_t capacity, const io::ImageView& like, int each = 1) {
    if (!shaped_.load(std::memory_order_acquire)) {
      const std::lock_guard lock(mutex_);
      if (!shaped_.load(std::memory_order_relaxed)) {
        if (height == 0) height = like.height, width = like.width, channels = like.channels, views = each;
        pixels.resize(static_cast<size_t>(capacity * views) * image_bytes());
        shaped_.store(true, std::memory_order_release);
      }
    }
    if (like.height != height || like.width != width || like.channels != channels || each != views) return nullptr;
    return pixels.data() + static_cast<size_t>(i * views) * image_bytes();
  }

 private:
  std::atomic<bool> shaped_{false};
  std::mutex mutex_;
};

/// The class of each pixel, H W 1 u8; 255 where there is none.
struct LabelMap {
  static constexpr const char* type_name = "label map";
  io::PixelBuffer pixels;
  void show(Shown& out, int64_t place, int64_t samples) const;
  static void plan(const PlannedGroup& group, Planned& out);
};

/// The label maps of a group: B H W 1 u8.
struct LabelMapBatch : ImageBatch {
  static constexpr const char* type_name = "label maps";
  void show(Shown& out, int64_t place, int64_t samples) const;
  static void plan(const PlannedGroup& group, Planned& out);
};

/// Labels of a group: B, one for each view of a picture.
struct LabelBatch {
  static constexpr const char* type_name = "labels";
  std::vector<int64_t> values;  // empty when nothing gives labels
  size_t bytes() const { return values.size() * sizeof(int64_t); }
  LabelBatch& operator=(const LabelBatch& other) {
    values = other.values;
    return *this;
  }
  void show(Shown& out, int64_t place, int64_t samples) const;
  static void plan(const PlannedGroup& group, Planned& out);

  /// Makes room once; any thread, before it writes its place.
  void reserve(int64_t capacity) {
    std::call_once(once_, [&] { values.assign(static_cast<size_t>(capacity), -1); });
  }

 private:
  std::once_flag once_;
};

/// The patches that the student sees and those that it predicts. Token index = row * grid + column. An image may have
/// several masks, which share the teacher's pass: row = image * repeats + repeat.
struct Masks {
  static constexpr const char* type_name = "masks";
  int grid = 0;
  int64_t images = 0, repeats = 1, visible_count = 0, regions = 0, region_size = 0;
  std::vector<int64_t> visible;  // rows K, ascending
  std::vector<int64_t> targets;  // rows R M
  // rows N, 1: hidden from the student. Empty unless images may have masks of different sizes: then the lists are cut
  // to the smallest count of the group, and only the map is whole.
  std::vector<uint8_t> map;

  int64_t rows() const { return images * repeats; }
  /// Hidden patches of a row, on average.
  double hidden_of_each() const;
  /// All patches, row * N + patch: those that are hidden first, each part ascending. Returns how many are hidden.
  int64_t order(std::vector<int64_t>& all) const;
  ShownMask shown(int64_t row) const;
  void show(Shown& out, int64_t place, int64_t samples) const;
  static void plan(const PlannedGroup& group, Planned& out);
  size_t bytes() const { return (visible.size() + targets.size()) * sizeof(int64_t) + map.size(); }
};

}  // namespace flowrun
