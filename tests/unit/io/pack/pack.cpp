#include "io/pack/pack.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <unistd.h>

#include "io/codec/image_format.h"
#include "io/codec/jpeg.h"
#include "io/error.h"
#include "io/pack/pack_image.h"
#include "io/pack/pack_journal.h"
#include "io/shards/shard_reader.h"
#include "support/io_files.h"

namespace flowrun::io {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

class Pack : public testing::Test {
 protected:
  Pack() {
    uint32_t noise = 1;
    for (int i = 0; i < 300; ++i) {
      std::vector<uint8_t> pixels(static_cast<size_t>(60 * (40 + i % 30) * 3)), jpeg;
      for (uint8_t& pixel : pixels) pixel = static_cast<uint8_t>((noise = noise * 1664525 + 1013904223) >> 24);
      encode_jpeg({pixels.data(), 60, 40 + i % 30, 3}, 95, jpeg);
      test::put_file(dir_ / ("data/c" + std::to_string(i % 3) + "/" + std::to_string(1000 + i) + ".jpg"),
                     {reinterpret_cast<const char*>(jpeg.data()), jpeg.size()});
    }
  }

  PackReport make(const std::string& out, const PackOptions& options = {.shard_bytes = 1 << 20, .threads = 4}) {
    return pack({(dir_ / "data").string()}, dir_ / out, options);
  }
  std::string fault(const std::string& out, const PackOptions& options = {.shard_bytes = 1 << 20, .threads = 4}) {
    std::string text = test::message_of<Error>([&] { make(out, options); });
    const std::string folder = dir_.path().string();
    for (size_t at = text.find(folder); at != std::string::npos; at = text.find(folder)) text.replace(at, folder.size(), "DIR");
    return text;
  }
  std::vector<std::pair<std::string, std::string>> tree(const std::string& out) const {
    std::vector<std::pair<std::string, std::string>> files;
    for (const std::string& name : test::names_in(dir_ / out)) {
      if (fs::is_regular_file(dir_ / out / name)) files.emplace_back(name, test::get_file(dir_ / out / name));
    }
    return files;
  }
  /// Stops inside the last shard, at an image that can't be read, which is repaired afterwards.
  void make_part(const std::string& out) {
    const fs::path bad = dir_ / "data/c2/1299.jpg";
    const std::string whole = test::get_file(bad);
    test::put_file(bad, "no picture");
    EXPECT_THAT(fault(out), HasSubstr("DIR/data/c2/1299.jpg: not a JPEG"));
    test::put_file(bad, whole);
  }

  const test::TemporaryDirectory dir_;
};

TEST_F(Pack, ThreadsChangeNothing) {
  for (PackOptions options : {PackOptions{.shard_bytes = 1 << 20}, PackOptions{.shard_bytes = 1 << 20, .zstd = true, .resize = 32}}) {
    options.threads = 1;
    make("one", options);
    options.threads = 6;
    const PackReport report = make("six", options);
    EXPECT_EQ(report.samples, 300u);
    EXPECT_EQ(tree("one"), tree("six"));
    const ShardReader reader(dir_ / "six");
    std::vector<uint8_t> bytes;
    for (size_t i = 0; i < 300; ++i) {
      reader.read(i, true, bytes);
      const ImageInfo info = read_image_info(bytes);
      EXPECT_EQ(std::min(info.width, info.height), options.resize ? 32 : std::min(60, info.width));
    }
    fs::remove_all(dir_ / "one"), fs::remove_all(dir_ / "six");
  }
}

TEST_F(Pack, GoesOnBehindWhatTheJournalHas) {
  make("whole");
  make_part("part");
  ASSERT_TRUE(fs::exists(dir_ / "part/shard-000000.tar"));
  const std::string journal = test::get_file(dir_ / "part/pack.journal");
  test::put_file(dir_ / "part/pack.journal", journal + R"({"name":"shard-00)");  // a line that a kill cut short
  test::put_file(dir_ / "part/.shard-000001.tar.tmp-1-0", "left by a kill");
  const PackReport report = make("part");
  EXPECT_GT(report.found, 0u);
  EXPECT_LT(report.found, 300u);
  EXPECT_EQ(tree("part"), tree("whole"));
}

// A kill between the record and the removal of the journal, and one before any of them.
TEST_F(Pack, NothingIsLeftBesideACompletePack) {
  make_part("part");
  const std::string journal = test::get_file(dir_ / "part/pack.journal");
  make("part");
  const auto whole = tree("part");
  const auto leave = [&](const std::string& name) { test::put_file(dir_ / "part" / name, journal); };
  const pid_t process = fork();
  if (process == 0) _exit(0);
  waitpid(process, nullptr, 0);
  const std::string dead = ".pack.json.tmp-" + std::to_string(process) + "-0";
  leave("pack.journal"), leave(dead);
  EXPECT_TRUE(make("part").was_complete);
  EXPECT_EQ(tree("part"), whole);
  // Another program that is about to remove it holds the lock.
  leave("pack.journal");
  const FileDescriptor other(::open((dir_ / "part/pack.journal").c_str(), O_RDWR));
  ASSERT_EQ(flock(other.get(), LOCK_EX), 0);
  EXPECT_TRUE(make("part").was_complete);
  EXPECT_TRUE(fs::exists(dir_ / "part/pack.journal"));
  // `rm part/*` leaves what is hidden.
  for (const auto& [name, content] : tree("part")) fs::remove(dir_ / "part" / name);
  leave(dead);
  make("part");
  EXPECT_EQ(tree("part"), whole);
}

TEST_F(Pack, AShardThatWasRemovedIsWrittenAgain) {
  make("whole");
  make_part("part");
  fs::remove(dir_ / "part/shard-000000.tar");
  EXPECT_EQ(make("part").found, 0u);
  EXPECT_EQ(tree("part"), tree("whole"));
}

TEST_F(Pack, WhatChangedOnTheDiskIsNoticed) {
  make_part("part");
  const std::string shard = test::get_file(dir_ / "part/shard-000000.tar"),
                    cure = "; this is not what was written: check the disk, remove DIR/part and pack again";
  for (const auto& [place, what] : {std::pair(2000, ": c0/1000.jpg"), std::pair(3, " is not a tar archive: its first header has a wrong checksum")}) {
    std::string changed = shard;
    changed[static_cast<size_t>(place)] = static_cast<char>(changed[static_cast<size_t>(place)] ^ 1);
    test::put_file(dir_ / "part/shard-000000.tar", changed);
    EXPECT_EQ(fault("part"), "DIR/part/shard-000000.tar" + std::string(what) + cure);
  }
  EXPECT_FALSE(fs::exists(dir_ / "part/index.flowrun"));
}

TEST_F(Pack, ADamagedJournalAndAnotherProgramAreRefused) {
  make_part("part");
  const std::string journal = test::get_file(dir_ / "part/pack.journal");
  {
    const FileDescriptor other(::open((dir_ / "part/pack.journal").c_str(), O_RDWR));
    ASSERT_EQ(flock(other.get(), LOCK_EX), 0);
    EXPECT_EQ(fault("part"), "DIR/part is being written by another flowrun pack");
  }
  test::put_file(dir_ / "part/pack.journal", journal + "{\"name\":1}\n");
  EXPECT_EQ(fault("part"), "DIR/part/pack.journal is damaged: remove DIR/part and pack again");
  test::put_file(dir_ / "part/pack.journal", "[]\n");
  EXPECT_THAT(fault("part"), HasSubstr("DIR/part holds an unfinished pack with other options: format was null"));
}

// A palette is one channel as it is stored, and not gray for that.
TEST(PackImage, PalettesKeepTheirColours) {
  const auto gif = [](uint8_t green) {
    return std::vector<uint8_t>{71, 73, 70, 56, 55, 97, 4, 0, 3, 0,  129, 0, 0, 1,  1,  1,  90,  green, 90, 9, 9,  9, 70, 70, 70, 44, 0,
                                0,  0,  0,  4,  0,  3,  0, 0, 8, 15, 0,   1, 4, 16, 48, 96, 128, 128,   0,  0, 18, 6, 8,  16, 16, 0,  59};
  };
  for (const auto& [green, channels] : {std::pair(uint8_t{90}, 1), std::pair(uint8_t{0}, 3)}) {
    std::vector<uint8_t> bytes = gif(green);
    EXPECT_TRUE(pack_image(bytes, {.resize = 2}).resized);
    EXPECT_EQ(read_image_info(bytes).channels, channels);
  }
}

}  // namespace
}  // namespace flowrun::io
