#include "io/codec/jpeg_plain.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <string_view>

namespace flowrun::io {

namespace {

using Bytes = std::span<const uint8_t>;

constexpr int most_scans = 100;  // real encoders write about ten
constexpr size_t most_tables = 4;

uint32_t u16(Bytes bytes, size_t at) { return static_cast<uint32_t>(bytes[at]) << 8 | bytes[at + 1]; }

bool starts_with(Bytes bytes, std::string_view mark) {
  return bytes.size() >= mark.size() && std::memcmp(bytes.data(), mark.data(), mark.size()) == 0;
}

uint64_t ceil_div(uint64_t a, uint64_t b) { return (a + b - 1) / b; }

bool is_restart(uint8_t marker) { return (marker & 0xf8) == 0xd0; }

class Walk {
 public:
  explicit Walk(Bytes bytes) : bytes_(bytes) {}

  // The position after the end marker; 0: not plain.
  size_t end() {
    if (!starts_with(bytes_, "\xff\xd8")) return 0;
    at_ = 2;
    while (true) {
      const int marker = next_marker();
      if (marker == end_of_image) return is_complete() ? at_ : 0;
      if (marker < 0xc0 || is_restart(static_cast<uint8_t>(marker)) || bytes_.size() - at_ < 2) return 0;
      const size_t length = u16(bytes_, at_);
      if (length < 2 || length > bytes_.size() - at_) return 0;
      const Bytes segment = bytes_.subspan(at_ + 2, length - 2);
      at_ += length;
      if (!read(marker, segment)) return 0;
    }
  }

 private:
  static constexpr int end_of_image = 0xd9;

  struct Component {
    uint8_t id, across, down, quantisation;
    bool scanned = false;
    std::array<int8_t, 64> missing = none();  // of each coefficient so many lower bits; below 0: all
    static constexpr std::array<int8_t, 64> none() {
      std::array<int8_t, 64> out{};
      out.fill(-1);
      return out;
    }
  };

  // -1: there is none here.
  int next_marker() {
    if (at_ >= bytes_.size() || bytes_[at_] != 0xff) return -1;
    while (at_ < bytes_.size() && bytes_[at_] == 0xff) ++at_;
    return at_ < bytes_.size() ? bytes_[at_++] : -1;
  }

  bool read(int marker, Bytes segment) {
    constexpr int comment = 0xfe;
    switch (marker) {
      case 0xc0:
      case 0xc1:
      case 0xc2:
        return read_frame(segment, marker == 0xc2);
      case 0xc4:
        return read_huffman_tables(segment);
      case 0xda:
        return read_scan(segment);
      case 0xdb:
        return read_quantisation_tables(segment);
      case 0xdd:
        if (segment.size() != 2) return false;
        interval_ = u16(segment, 0);
        return true;
      case 0xee:
        // Adobe's mark of pictures that are not YCbCr (0), or of a kind that libjpeg doesn't know in three components.
        if (starts_with(segment, "Adobe") && segment.size() >= 12 && segment[11] != 1) is_direct_ = true;
        return true;
      default:
        return (marker >= 0xe0 && marker <= 0xef) || marker == comment;
    }
  }

  bool read_frame(Bytes segment, bool progressive) {
    if (count_ != 0 || segment.size() < 6 || segment[0] != 8) return false;
    height_ = u16(segment, 1), width_ = u16(segment, 3), count_ = segment[5];
    if (width_ == 0 || height_ == 0 || (count_ != 1 && count_ != 3) || segment.size() != 6 + 3 * count_) return false;
    for (size_t c = 0; c < count_; ++c) {
      const uint8_t* const entry = segment.data() + 6 + 3 * c;
      const Component component{entry[0], static_cast<uint8_t>(entry[1] >> 4), static_cast<uint8_t>(entry[1] & 15), entry[2]};
      const auto is_factor = [](int factor) { return factor >= 1 && factor <= 4; };
      if (!is_factor(component.across) || !is_factor(component.down) || component.quantisation >= most_tables) return false;
      for (size_t other = 0; other < c; ++other) {
        if (components_[other].id == component.id) return false;
      }
      across_ = std::max(across_, component.across), down_ = std::max(down_, component.down);
      components_[c] = component;
    }
    // Without any mark, these names mean RGB.
    if (count_ == 3 && components_[0].id == 'R' && components_[1].id == 'G' && components_[2].id == 'B') is_direct_ = true;
    progressive_ = progressive;
    return true;
  }

  bool read_quantisation_tables(Bytes segment) {
    while (!segment.empty()) {
      const size_t wide = segment[0] >> 4, index = segment[0] & 15, size = 1 + 64 * (wide + 1);
      if (wide > 1 || index >= most_tables || segment.size() < size) return false;
      has_quantisation_[index] = true;
      segment = segment.subspan(size);
    }
    return true;
  }

  // Codes are counted as libjpeg does: a code of all ones is not valid.
  bool read_huffman_tables(Bytes segment) {
    while (!segment.empty()) {
      constexpr size_t lengths = 16, most_symbols = 256;
      const size_t kind = segment[0] >> 4, index = segment[0] & 15;
      if (kind > 1 || index >= most_tables || segment.size() < 1 + lengths) return false;
      size_t symbols = 0;
      uint32_t code = 0;
      for (size_t length = 1; length <= lengths; ++length) {
        const uint32_t count = segment[length];
        symbols += count, code += count;
        if (count > 0 && code >= 1u << length) return false;
        code <<= 1;
      }
      if (symbols > most_symbols || segment.size() < 1 + lengths + symbols) return false;
      const Bytes values = segment.subspan(1 + lengths, symbols);
      if (kind == 0 && std::any_of(values.begin(), values.end(), [](uint8_t bits) { return bits > 15; })) return false;
      has_huffman_[kind][index] = true;
      segment = segment.subspan(1 + lengths + symbols);
    }
    return true;
  }

  bool read_scan(Bytes segment) {
    if (count_ == 0 || is_no_colour() || ++scans_ > most_scans || segment.empty()) return false;
    const size_t count = segment[0];
    if (count < 1 || count > count_ || segment.size() != 4 + 2 * count) return false;
    const uint8_t* const spectrum = segment.data() + 1 + 2 * count;
    const int first = spectrum[0], last = spectrum[1], high = spectrum[2] >> 4;
    if (progressive_ ? first > last || last > 63 || (first > 0 && count > 1) : first != 0 || last != 63 || spectrum[2] != 0) return false;
    size_t blocks = 0;
    const Component* component = nullptr;
    for (size_t i = 0; i < count; ++i) {
      const uint8_t* const entry = segment.data() + 1 + 2 * i;
      auto* const found = std::find_if(components_.begin(), components_.begin() + count_, [&](const Component& c) { return c.id == entry[0]; });
      if (found == components_.begin() + count_ || (component != nullptr && found <= component)) return false;
      component = found;
      blocks += static_cast<size_t>(found->across) * found->down;
      const size_t dc = entry[1] >> 4, ac = entry[1] & 15;
      if (dc >= most_tables || ac >= most_tables || !has_quantisation_[found->quantisation]) return false;
      if (first == 0 && high == 0 && !has_huffman_[0][dc]) return false;
      if (last > 0 && !has_huffman_[1][ac]) return false;
      if (first == 0) found->scanned = true;
      if (progressive_ && !advance(*found, first, last, high, spectrum[2] & 15)) return false;
    }
    return (count == 1 || blocks <= 10) && pass_codes(count == 1 ? own_blocks(*component) : shared_blocks());
  }

  // A scan adds bits to what came before: DC first, and of each coefficient first the upper ones, then bit by bit.
  static bool advance(Component& component, int first, int last, int high, int low) {
    if (first > 0 && component.missing[0] < 0) return false;
    for (int k = first; k <= last; ++k) {
      int8_t& missing = component.missing[static_cast<size_t>(k)];
      if (high != std::max<int>(missing, 0)) return false;
      missing = static_cast<int8_t>(low);
    }
    return true;
  }

  bool is_no_colour() const { return count_ == 3 && is_direct_; }

  // Minimum coded units of a scan of one component, and of several.
  uint64_t own_blocks(const Component& component) const {
    const auto side = [](uint64_t size, uint64_t factor, uint64_t most) { return ceil_div(ceil_div(size * factor, most), 8); };
    return side(width_, component.across, across_) * side(height_, component.down, down_);
  }
  uint64_t shared_blocks() const { return ceil_div(width_, 8u * across_) * ceil_div(height_, 8u * down_); }

  // Skips the coded data, up to the next marker that is not a restart marker.
  bool pass_codes(uint64_t units) {
    uint64_t restarts = interval_ == 0 ? 0 : ceil_div(units, interval_) - 1;
    for (uint8_t expected = 0; at_ < bytes_.size();) {
      const void* const found = std::memchr(bytes_.data() + at_, 0xff, bytes_.size() - at_);
      if (found == nullptr) return false;
      at_ = static_cast<size_t>(static_cast<const uint8_t*>(found) - bytes_.data());
      size_t code = at_ + 1;
      while (code < bytes_.size() && bytes_[code] == 0xff) ++code;
      if (code == bytes_.size()) return false;
      if (bytes_[code] != 0 && !is_restart(bytes_[code])) return restarts == 0;
      at_ = code + 1;
      if (bytes_[code] == 0) continue;
      if (restarts == 0 || bytes_[code] != 0xd0 + expected) return false;
      --restarts;
      expected = (expected + 1) & 7;
    }
    return false;
  }

  bool is_complete() const {
    return count_ > 0 && std::all_of(components_.begin(), components_.begin() + count_, [](const Component& c) { return c.scanned; });
  }

  Bytes bytes_;
  size_t at_ = 0;
  uint32_t width_ = 0, height_ = 0, interval_ = 0;
  size_t count_ = 0;  // of components
  uint8_t across_ = 1, down_ = 1;
  bool progressive_ = false, is_direct_ = false;
  int scans_ = 0;
  std::array<Component, 3> components_{};
  std::array<bool, most_tables> has_quantisation_{};
  std::array<std::array<bool, most_tables>, 2> has_huffman_{};
};

}  // namespace

std::span<const uint8_t> plain_jpeg(std::span<const uint8_t> bytes) { return bytes.first(Walk(bytes).end()); }

}  // namespace flowrun::io
