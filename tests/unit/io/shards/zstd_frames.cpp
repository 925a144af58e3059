#include "io/shards/zstd_frames.h"

#include <cstdlib>
#include <gmock/gmock.h>

#include "io/error.h"
#include "support/io_files.h"

namespace flowrun::io {
namespace {

using Bytes = std::vector<uint8_t>;
using testing::HasSubstr;

Bytes content(size_t size, uint32_t seed) {
  Bytes out(size);
  for (uint8_t& byte : out) byte = static_cast<uint8_t>((seed = seed * 1664525 + 1013904223) >> 28);
  return out;
}

/// Reads in pieces of odd sizes.
Bytes drain(ZstdStream& stream) {
  Bytes out;
  size_t piece = 1;
  for (Bytes buffer(70'001); const size_t count = stream.read(buffer.data(), piece); piece = piece * 3 % 70'001 + 1) {
    out.insert(out.end(), buffer.begin(), buffer.begin() + static_cast<std::ptrdiff_t>(count));
  }
  return out;
}

struct Frames {
  Bytes compressed, whole;
  std::vector<size_t> sizes = {1, 300'000, 77, 1'000'000};
  Frames() {
    for (size_t i = 0; i < sizes.size(); ++i) {
      const Bytes part = content(sizes[i], static_cast<uint32_t>(i));
      append_zstd_frame(part, compressed);
      whole.insert(whole.end(), part.begin(), part.end());
    }
  }
};

TEST(ZstdFrames, AreFoundAndCanBeReadAlone) {
  Frames data;
  append_zstd_frame({}, data.compressed);
  const uint8_t skippable[] = {0x50, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 1, 2, 3};
  data.compressed.insert(data.compressed.begin(), std::begin(skippable), std::end(skippable));
  ASSERT_TRUE(looks_like_zstd(data.compressed));
  SpanStream source(data.compressed);
  ZstdStream stream(source, "a.tar.zst");
  EXPECT_EQ(drain(stream), data.whole);
  ASSERT_EQ(stream.frames().size(), data.sizes.size());
  for (size_t i = 0; i < data.sizes.size(); ++i) {
    const ZstdFrame& frame = stream.frames()[i];
    EXPECT_EQ(frame.content_size, data.sizes[i]);
    Bytes out(data.sizes[i]);
    decompress_zstd_frame(std::span(data.compressed).subspan(frame.offset, frame.size), out);
    const auto begin = data.whole.begin() + static_cast<std::ptrdiff_t>(frame.content_offset);
    EXPECT_EQ(out, Bytes(begin, begin + static_cast<std::ptrdiff_t>(frame.content_size)));
  }
}

TEST(ZstdFrames, WhatIsCutShortOrDamagedIsRefused) {
  const Frames data;
  for (const size_t size : {data.compressed.size() - 1, data.compressed.size() / 2, size_t{3}}) {
    SpanStream source(std::span(data.compressed).first(size));
    ZstdStream stream(source, "a.tar.zst");
    EXPECT_THAT(test::message_of<Error>([&] { drain(stream); }), HasSubstr("a.tar.zst is cut short: it ends inside a frame"));
  }
  Bytes damaged = data.compressed;
  damaged[data.compressed.size() / 2] ^= 0x10;
  SpanStream source(damaged);
  ZstdStream stream(source, "a.tar.zst");
  EXPECT_THAT(test::message_of<Error>([&] { drain(stream); }), HasSubstr("a.tar.zst: damaged zstd data"));
  Bytes small(10);
  EXPECT_THAT(test::message_of<Error>([&] { decompress_zstd_frame(data.compressed, small); }), HasSubstr("zstd"));
}

TEST(ZstdFrames, TheProgramZstdReadsThemAndIsRead) {
  if (std::system("command -v zstd >/dev/null") != 0) GTEST_SKIP() << "no program zstd";
  const Frames data;
  const test::TemporaryDirectory dir;
  test::put_file(dir / "ours.zst", {reinterpret_cast<const char*>(data.compressed.data()), data.compressed.size()});
  const std::string cd = "cd '" + dir.path().string() + "' && ";
  ASSERT_EQ(std::system((cd + "zstd -q -d ours.zst -o plain && zstd -q -5 plain -o theirs.zst && cat theirs.zst ours.zst > both.zst").c_str()), 0);
  const std::string plain = test::get_file(dir / "plain");
  EXPECT_EQ(Bytes(plain.begin(), plain.end()), data.whole);
  FileStream source(dir / "both.zst");
  ZstdStream stream(source, "both.zst");
  const Bytes twice = drain(stream);
  ASSERT_EQ(twice.size(), 2 * data.whole.size());
  EXPECT_EQ(Bytes(twice.begin(), twice.begin() + static_cast<std::ptrdiff_t>(data.whole.size())), data.whole);
  EXPECT_EQ(stream.frames().size(), 1 + data.sizes.size());
}

}  // namespace
}  // namespace flowrun::io
