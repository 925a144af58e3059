#include <filesystem>
#include <gmock/gmock.h>

#include "io/codec/jpeg.h"
#include "io/error.h"
#include "io/pack/pack.h"
#include "nodes/lib/host/types/host_types.h"
#include "nodes/lib/host/types/text_types.h"
#include "support/io_files.h"
#include "support/run_node.h"

namespace flowrun {
namespace {

namespace test_io = io::test;

/// The outputs of a source, sample by sample.
std::vector<std::pair<std::vector<uint8_t>, int64_t>> samples(const std::string& type, const std::string& params) {
  const auto node = test::make_node(type, params);
  const RunInfo run;
  node->open({run, "files", 1});
  std::vector<std::pair<std::vector<uint8_t>, int64_t>> out;
  Bytes bytes;
  Label label;
  Caption caption;
  for (uint64_t i = 0; i < node->size(); ++i) {
    test::run_sample(*node, {&bytes, &label, &caption}, i);
    out.emplace_back(bytes.data, label.value);
  }
  return out;
}

std::string path_json(const std::filesystem::path& path, const std::string& more = "") { return R"({"path": ")" + path.string() + "\"" + more + "}"; }

class SourceShards : public testing::Test {
 protected:
  SourceShards() {
    for (int i = 0; i < 30; ++i) {
      const std::vector<uint8_t> pixels(static_cast<size_t>(16 * (10 + i)), static_cast<uint8_t>(8 * i));
      std::vector<uint8_t> jpeg;
      io::encode_jpeg({pixels.data(), 16, 10 + i, 1}, 90, jpeg);
      test_io::put_file(dir_ / ("data/c" + std::to_string(i % 4) + "/" + std::to_string(i) + ".jpg"),
                        {reinterpret_cast<const char*>(jpeg.data()), jpeg.size()});
    }
    std::filesystem::create_directories(dir_ / "data/c2b");
  }
  const test_io::TemporaryDirectory dir_;
};

TEST_F(SourceShards, GiveBytesAndLabelsOfTheFolder) {
  const std::vector<std::string> from = {(dir_ / "data").string()};
  for (const bool zstd : {false, true}) {
    const auto out = dir_ / (zstd ? "zst" : "tar");
    const io::PackReport report = io::pack(from, out, {.zstd = zstd, .threads = 3});
    EXPECT_EQ(report.classes, 4) << "a folder without images is none";
    for (const std::string more : {"", R"(, "part": "held_out", "list_seed": 5)", R"(, "limit": 7)", R"(, "per_class": 1)"}) {
      EXPECT_EQ(samples("source.shards", path_json(out, more)), samples("source.folder", path_json(dir_ / "data", more))) << more;
    }
    const std::string per_class = R"(, "per_class": 99)";
    EXPECT_THAT(test_io::message_of<io::Error>([&] { samples("source.shards", path_json(out, per_class)); }),
                testing::HasSubstr("fewer than per_class = 99"));
  }
}

TEST_F(SourceShards, WithoutLabelsPerClassIsRefused) {
  const std::vector<std::string> from = {(dir_ / "data/c1").string()};
  io::pack(from, dir_ / "flat", {});
  for (const auto& [bytes, label] : samples("source.shards", path_json(dir_ / "flat"))) EXPECT_EQ(label, -1);
  EXPECT_THAT(test_io::message_of<io::Error>([&] { samples("source.shards", path_json(dir_ / "flat", R"(, "per_class": 1)")); }),
              testing::MatchesRegex("per_class needs labels, but the index of .*flat has none"));
}

}  // namespace
}  // namespace flowrun
