// Faults that libjpeg warns of: faults that lose nothing are ignored, and the pixels equal Pillow's; others are errors.
#include <gmock/gmock.h>
#include <map>

#include "io/codec/jpeg.h"
#include "io/codec/jpeg_plain.h"
#include "io/codec/jpeg_tiles.h"
#include "io/error.h"
#include "support/io_files.h"
#include "support/io_images.h"
#include "support/io_jpeg.h"
#include "support/io_python.h"

namespace flowrun::io {
namespace {

using test::make_image;
using test::message_of;
using test::OddJpeg;
using testing::HasSubstr;

using Bytes = std::vector<uint8_t>;

constexpr uint8_t dqt = 0xdb, dht = 0xc4, sos = 0xda, app0 = 0xe0, app14 = 0xee;

struct Segment {
  uint8_t marker;
  size_t begin, end;  // of a scan: with its codes
};

bool ends_codes(const Bytes& bytes, size_t at) { return bytes[at] == 0xff && bytes[at + 1] != 0 && (bytes[at + 1] & 0xf8) != 0xd0; }

std::vector<Segment> segments(const Bytes& bytes) {
  std::vector<Segment> out;
  for (size_t at = 2; bytes[at + 1] != 0xd9;) {
    size_t end = at + 2 + (static_cast<size_t>(bytes[at + 2]) << 8 | bytes[at + 3]);
    if (bytes[at + 1] == sos) {
      while (!ends_codes(bytes, end)) ++end;
    }
    out.push_back({bytes[at + 1], at, end});
    at = end;
  }
  return out;
}

std::vector<Segment> segments(const Bytes& bytes, uint8_t marker) {
  std::vector<Segment> out = segments(bytes);
  std::erase_if(out, [&](const Segment& segment) { return segment.marker != marker; });
  return out;
}

Bytes inserted(Bytes bytes, size_t at, const Bytes& more) {
  bytes.insert(bytes.begin() + static_cast<ptrdiff_t>(at), more.begin(), more.end());
  return bytes;
}
Bytes without(Bytes bytes, size_t begin, size_t end) {
  bytes.erase(bytes.begin() + static_cast<ptrdiff_t>(begin), bytes.begin() + static_cast<ptrdiff_t>(end));
  return bytes;
}
Bytes part(const Bytes& bytes, size_t begin, size_t end) {
  return {bytes.begin() + static_cast<ptrdiff_t>(begin), bytes.begin() + static_cast<ptrdiff_t>(end)};
}

Bytes encoded(const OddJpeg& kind, int channels = 3) { return test::encode_odd_jpeg(make_image(61, 83, channels, 4), kind); }

Bytes gray() {
  Bytes bytes;
  encode_jpeg(make_image(61, 83, 1, 1).view(), 90, bytes);
  return bytes;
}

// The last three bytes of a scan's header.
Bytes with_scan_header(Bytes bytes, const std::array<uint8_t, 3>& numbers) {
  for (const Segment& scan : segments(bytes, sos)) {
    const size_t end = scan.begin + 2 + (static_cast<size_t>(bytes[scan.begin + 2]) << 8 | bytes[scan.begin + 3]);
    std::copy(numbers.begin(), numbers.end(), bytes.begin() + static_cast<ptrdiff_t>(end) - 3);
  }
  return bytes;
}

// In place of JFIF's marker, if there is one.
Bytes with_adobe(const Bytes& bytes, uint8_t transform) {
  Bytes marker = {0xff, app14, 0, 14, 'A', 'd', 'o', 'b', 'e', 0, 100, 0, 0, 0, 0, transform};
  const std::vector<Segment> jfif = segments(bytes, app0), adobe = segments(bytes, app14);
  const std::vector<Segment>& old = jfif.empty() ? adobe : jfif;
  return inserted(without(bytes, old.at(0).begin, old.at(0).end), 2, marker);
}

Bytes with_jfif_version(Bytes bytes, uint8_t major) {
  bytes[segments(bytes, app0).at(0).begin + 9] = major;
  return bytes;
}

// Before every segment, up to the first scan.
Bytes with_stray_bytes(Bytes bytes, const Bytes& stray) {
  const std::vector<Segment> all = segments(bytes);
  for (size_t i = all.size(); i-- > 1;) {
    if (all[i - 1].marker != sos) bytes = inserted(bytes, all[i].begin, stray);
  }
  return bytes;
}

// A progressive file's scans, each with its tables.
struct Scans {
  Bytes head, end = {0xff, 0xd9};
  std::vector<Bytes> scans;

  explicit Scans(const Bytes& bytes) {
    size_t from = 0;
    for (const Segment& segment : segments(bytes)) {
      if (from == 0 && segment.marker == dht) head = part(bytes, 0, segment.begin), from = segment.begin;
      if (segment.marker == sos) scans.push_back(part(bytes, from, segment.end)), from = segment.end;
    }
  }
  Bytes file() const {
    Bytes bytes = head;
    for (const Bytes& scan : scans) bytes.insert(bytes.end(), scan.begin(), scan.end());
    bytes.insert(bytes.end(), end.begin(), end.end());
    return bytes;
  }
};

struct Change {
  Bytes before, after;
};

std::map<std::string, Change> harmless_changes() {
  std::map<std::string, Change> out;
  const auto add = [&](const std::string& name, const Bytes& before, const Bytes& after) { out.emplace(name, Change{before, after}); };
  const std::map<std::string, Bytes> baseline = {{"444", encoded({})},
                                                 {"420", encoded({2, 2})},
                                                 {"gray", gray()},
                                                 {"restarts", encoded({2, 1, false, 1})},
                                                 {"tiled", tile_jpeg(encoded({2, 2}), {0})},
                                                 {"arithmetic", encoded({.arithmetic = true})}};
  for (const auto& [kind, bytes] : baseline) {
    add("scan-header-0-" + kind, bytes, with_scan_header(bytes, {0, 0, 0}));
    add("scan-header-odd-" + kind, bytes, with_scan_header(bytes, {1, 5, 0x21}));
    add("jfif-2-" + kind, bytes, with_jfif_version(bytes, 2));
    add("jfif-0-" + kind, bytes, with_jfif_version(bytes, 0));
    add("stray-zero-" + kind, bytes, with_stray_bytes(bytes, {0}));
    add("stray-text-" + kind, bytes, with_stray_bytes(bytes, {'s', 't', 'r', 'a', 'y'}));
    add("stray-escaped-" + kind, bytes, with_stray_bytes(bytes, {0xff, 0, 1}));
    add("stray-at-the-end-" + kind, bytes, inserted(bytes, bytes.size() - 2, Bytes(40, 0x5a)));
    if (kind == "gray") continue;
    for (const uint8_t transform : {2, 3, 99}) add("adobe-" + std::to_string(transform) + "-" + kind, bytes, with_adobe(bytes, transform));
  }
  const Bytes cmyk = encoded({}, 4);
  for (const uint8_t transform : {1, 7}) add("adobe-ycck-" + std::to_string(transform), cmyk, with_adobe(cmyk, transform));
  const Bytes progressive = encoded({2, 2, true});
  add("stray-progressive", progressive, with_stray_bytes(progressive, {'s', 't', 'r', 'a', 'y'}));
  Scans scans(progressive);
  Scans changed = scans;
  std::swap(changed.scans[0], changed.scans[1]);
  add("progressive-dc-late", progressive, changed.file());
  changed = scans;
  changed.scans.insert(changed.scans.begin() + 1, changed.scans[1]);
  add("progressive-scan-twice", progressive, changed.file());
  changed = scans;
  for (Bytes& scan : changed.scans) scan.resize(scan.size() + 50);
  add("progressive-zeros-behind-scans", progressive, changed.file());
  return out;
}

TEST(JpegWarnings, ThatLoseNothingAreHarmless) {
  test::require_python("PIL.Image");
  if (IsSkipped()) return;
  const test::TemporaryDirectory dir;
  const std::map<std::string, Change> changes = harmless_changes();
  ASSERT_GT(changes.size(), 50);
  for (const auto& [name, change] : changes) test::put_file(dir / (name + ".jpg"), std::string(change.after.begin(), change.after.end()));
  test::run_python(dir.path(), R"(
import pathlib
from PIL import Image
for path in pathlib.Path().glob('*.jpg'):
    path.with_suffix('.rgb').write_bytes(Image.open(path).convert('RGB').tobytes())
)");
  JpegDecoder decoder;
  std::mt19937 random(1);
  for (const auto& [name, change] : changes) {
    SCOPED_TRACE(name);
    ASSERT_NE(change.before, change.after);
    PixelBuffer before, after, region_pixels;
    decoder.decode(change.before, before);
    decoder.decode(change.after, after);
    EXPECT_TRUE(before.pixels == after.pixels) << "other pixels than those of the file before the change";
    EXPECT_TRUE(std::string(after.pixels.begin(), after.pixels.end()) == test::get_file(dir / (name + ".rgb"))) << "not Pillow's pixels";
    for (int i = 0; i < 30; ++i) {
      const Rect region = test::random_region(random, after.width, after.height);
      decoder.decode(change.after, region, region_pixels);
      EXPECT_TRUE(region_pixels.pixels == test::crop(after, region).pixels);
    }
    decoder.decode(tile_jpeg(change.after, {4}), region_pixels);
    EXPECT_TRUE(region_pixels.pixels == after.pixels) << "other pixels with tiles";
    // Decoders without checks may get the file without such faults, except bytes after a scan's codes.
    if (name.starts_with("jfif") || name.starts_with("stray-at-the-end") || name == "progressive-zeros-behind-scans") continue;
    EXPECT_TRUE(plain_jpeg(change.after).empty()) << "called plain";
  }
}

TEST(JpegWarnings, ThatLoseDataAreErrors) {
  const Bytes baseline = encoded({2, 2}), restarts = encoded({2, 1, false, 1}), progressive = encoded({2, 2, true}),
              arithmetic = encoded({.arithmetic = true});
  const auto codes = [](const Bytes& bytes) { return segments(bytes, sos).at(0); };
  std::map<std::string, Bytes> files;
  files["blocks are missing"] = without(baseline, codes(baseline).end - 200, codes(baseline).end);
  const auto find = [](const Bytes& bytes, uint8_t marker) {
    const uint8_t code[] = {0xff, marker};
    return static_cast<size_t>(std::search(bytes.begin(), bytes.end(), code, code + 2) - bytes.begin());
  };
  files["a restart marker is missing"] = without(restarts, find(restarts, 0xd2), find(restarts, 0xd2) + 2);
  files["an interval is missing"] = without(restarts, find(restarts, 0xd2), find(restarts, 0xd3));
  files["bytes before a restart marker"] = inserted(restarts, find(restarts, 0xd2), Bytes(40, 0x5a));
  Bytes wrong = baseline;
  for (size_t at = codes(wrong).end - 300; at < codes(wrong).end - 100; at += 2) wrong[at] = 0xff, wrong[at + 1] = 0;
  files["wrong codes"] = wrong;
  Scans changed(progressive);
  changed.scans.erase(changed.scans.begin() + 1);
  files["the first bits of coefficients are missing"] = changed.file();
  changed = Scans(progressive);
  for (const size_t dc : {6, 0}) changed.scans.erase(changed.scans.begin() + static_cast<ptrdiff_t>(dc));
  files["DC is missing"] = changed.file();
  changed = Scans(progressive);
  changed.scans[0].insert(changed.scans[0].end(), 40, 0x5a);
  files["codes that nothing reads, behind a scan"] = changed.file();
  JpegDecoder decoder;
  for (const auto& [name, bytes] : files) {
    PixelBuffer out;
    for (const bool keep : {false, true}) {
      const std::string fault = message_of<Error>([&] { decoder.decode(bytes, {.keep_truncated = keep}, 1, out); });
      EXPECT_THAT(fault, HasSubstr("broken JPEG of ")) << name;
      EXPECT_THAT(fault, testing::Not(HasSubstr("truncated"))) << name;
    }
  }
  PixelBuffer out;
  int refused = 0;
  for (int fill = 0; fill < 255; ++fill) {
    wrong = arithmetic;
    for (size_t at = codes(wrong).end - 300; at < codes(wrong).end - 100; ++at) wrong[at] = static_cast<uint8_t>(fill);
    try {
      decoder.decode(wrong, out);
    } catch (const Error&) {
      ++refused;
    }
  }
  EXPECT_GT(refused, 0) << "wrong arithmetic codes, most of which are codes";
  EXPECT_THROW(decoder.decode(part(baseline, 0, baseline.size() - 2), out), TruncatedError) << "the file ends: its end marker is missing";
}

}  // namespace
}  // namespace flowrun::io
