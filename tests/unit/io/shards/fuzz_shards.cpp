// Shards and their index from outside: for any bytes the result is a value or an Error. tests/fuzz goes deeper.
#include <gtest/gtest.h>
#include <random>

#include "io/error.h"
#include "io/shards/shard_scan.h"
#include "io/shards/tar.h"
#include "support/io_fuzz.h"
#include "support/io_shards.h"

namespace flowrun::io {
namespace {

using Bytes = std::vector<uint8_t>;

Bytes mutate(Bytes bytes, std::mt19937& random) {
  const auto below = [&](size_t n) { return std::uniform_int_distribution<size_t>(0, n - 1)(random); };
  for (size_t i = 0, changes = 1 + below(6); i < changes && !bytes.empty(); ++i) {
    const size_t at = below(bytes.size()), length = std::min(1 + below(600), bytes.size() - at);
    const auto begin = bytes.begin() + static_cast<std::ptrdiff_t>(at), end = begin + static_cast<std::ptrdiff_t>(length);
    switch (below(6)) {
      case 0:
        *begin = static_cast<uint8_t>(below(256));
        break;
      case 1:
        *begin ^= static_cast<uint8_t>(1u << below(8));
        break;
      case 2:
        bytes.erase(begin, end);
        break;
      case 3:
        std::fill(begin, end, below(2) ? 0xff : 0);
        break;
      case 4: {
        const Bytes copy(begin, end);
        bytes.insert(bytes.begin() + static_cast<std::ptrdiff_t>(below(bytes.size())), copy.begin(), copy.end());
        break;
      }
      default:
        if (below(4) == 0) bytes.resize(at);
    }
  }
  return bytes;
}

template <class Parse>
int count_taken(const Bytes& seed, uint32_t stream, int count, Parse&& parse) {
  return test::count_taken(seed, stream, count, mutate, parse);
}

Bytes shard() {
  Bytes out;
  const auto add = [&](const std::string& name, const std::string& text) {
    append_tar_file(out, name, {reinterpret_cast<const uint8_t*>(text.data()), text.size()});
  };
  for (const std::string key : {"cat/1", "cat/2", "dog/3"}) {
    add(key + ".jpg", std::string(700, key[0]));
    add(key + ".cls", key == "dog/3" ? "1" : "0");
    add(key + ".json", R"({"label": 1, "size": [3, 4]})");
    add(key + ".txt", "a " + key);
  }
  const std::string folder(120, 'n');
  add(folder + "/long.jpg", "long");
  add(folder + "/long.cls", "5");
  out.resize(out.size() + tar_end);
  return out;
}

void scan(std::span<const uint8_t> bytes) {
  SpanStream stream(bytes);
  const ScannedShard scan = scan_shard(stream, "a.tar");
  EXPECT_EQ(scan.shard.size, bytes.size());
  for (const ScannedSample& sample : scan.samples) {
    ASSERT_LE(sample.offset, scan.shard.content);
    ASSERT_LE(sample.size, scan.shard.content - sample.offset);
    ASSERT_LE(sample.caption.offset, scan.shard.content);
    ASSERT_LE(sample.caption.size, scan.shard.content - sample.caption.offset);
  }
}

TEST(FuzzShards, Tar) {
  int taken = 0;
  for (const bool repaired : {false, true}) {
    taken += count_taken(shard(), 20 + repaired, 10'000, [&](Bytes bytes) {
      if (repaired) test::repair_tar(bytes);
      scan(bytes);
    });
  }
  EXPECT_GT(taken, 100) << "nearly every mutation was refused: none reached the depths";
}

TEST(FuzzShards, Zstd) {
  const Bytes plain = shard();
  Bytes seed;
  for (size_t at = 0; at < plain.size(); at += 3000) append_zstd_frame(std::span(plain).subspan(at, std::min<size_t>(3000, plain.size() - at)), seed);
  count_taken(seed, 22, 10'000, scan);
  // Mutations behind the checksums of zstd.
  count_taken(plain, 23, 5'000, [](Bytes bytes) {
    test::repair_tar(bytes);
    Bytes compressed;
    append_zstd_frame(bytes, compressed);
    scan(compressed);
  });
}

TEST(FuzzShards, Index) {
  std::vector<ScannedShard> scans;
  const Bytes plain = shard();
  Bytes compressed;
  for (size_t at = 0; at < plain.size(); at += 3000)
    append_zstd_frame(std::span(plain).subspan(at, std::min<size_t>(3000, plain.size() - at)), compressed);
  for (const Bytes& bytes : {plain, compressed}) {
    SpanStream stream(bytes);
    scans.push_back(scan_shard(stream, "a.tar"));
  }
  ShardIndex index = merge_scans(scans, {"a.tar", "b.tar.zst"}, {}).index;
  index.shards[0].name = "a.tar", index.shards[1].name = "b.tar.zst";
  index.classes = {"a", "b", "c", "d", "e", "f"};
  const Bytes seed = encode_shard_index(index);
  ASSERT_EQ(encode_shard_index(parse_shard_index(seed, "memory")), seed);
  count_taken(seed, 24, 10'000, [](const Bytes& bytes) { parse_shard_index(bytes, "memory"); });
  const int taken = count_taken(seed, 25, 40'000, [](Bytes bytes) {
    test::repair_index(bytes);
    const ShardIndex read = parse_shard_index(bytes, "memory");
    EXPECT_EQ(encode_shard_index(read), bytes);
    ASSERT_TRUE(read.captions.empty() || read.captions.size() == read.samples.size());
    for (size_t i = 0; i < read.samples.size(); ++i) {
      const uint64_t content = read.shards.at(read.samples[i].shard).content;
      EXPECT_LE(read.samples[i].offset + read.samples[i].size, content);
      if (!read.captions.empty()) {
        EXPECT_LE(read.captions[i].offset + read.captions[i].size, content);
      }
    }
  });
  EXPECT_GT(taken, 100) << "nearly every mutation was refused: none reached the depths";
}

}  // namespace
}  // namespace flowrun::io
