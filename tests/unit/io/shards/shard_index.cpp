#include "io/shards/shard_index.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <unistd.h>

#include "io/codec/image_format.h"
#include "io/error.h"
#include "io/shards/shard_reader.h"
#include "io/shards/shard_scan.h"
#include "io/shards/tar.h"
#include "support/io_files.h"
#include "support/io_python.h"

namespace flowrun::io {
namespace {

using Bytes = std::vector<uint8_t>;
using testing::HasSubstr;
namespace fs = std::filesystem;

using Members = std::vector<std::pair<std::string, std::string>>;

Bytes tar_of(const Members& members) {
  Bytes out;
  for (const auto& [name, text] : members) append_tar_file(out, name, {reinterpret_cast<const uint8_t*>(text.data()), text.size()});
  out.resize(out.size() + tar_end);
  return out;
}

void put(const fs::path& path, std::span<const uint8_t> bytes) { test::put_file(path, {reinterpret_cast<const char*>(bytes.data()), bytes.size()}); }

class ShardIndexing : public testing::Test {
 protected:
  void shard(const std::string& name, const Members& members) { put(dir_ / name, tar_of(members)); }

  IndexedShards make(std::optional<LabelKind> labels = {}, int threads = 2, const std::string& image = "") {
    const std::string folder = dir_.path().string();
    const auto shards = list_shards(std::span(&folder, 1));
    return index_shards(shards, dir_.path(), {.labels = labels, .image = image, .threads = threads});
  }
  void write() { put(dir_ / shard_index_name, encode_shard_index(make().index)); }

  std::string fault(const std::string& name, const Members& members, std::optional<LabelKind> labels = {}) {
    shard(name, members);
    const std::string text = test::message_of<Error>([&] { make(labels); });
    fs::remove(dir_ / name);
    return without_folder(text);
  }
  std::string without_folder(std::string text) const {
    const std::string folder = dir_.path().string();
    for (size_t at = text.find(folder); at != std::string::npos; at = text.find(folder)) text.replace(at, folder.size(), "DIR");
    return text;
  }
  static std::vector<int> labels_of(const ShardIndex& index) {
    std::vector<int> out;
    for (const ShardSample& sample : index.samples) out.push_back(sample.label);
    return out;
  }
  std::string open_fault() {
    return without_folder(test::message_of<Error>([&] { ShardReader reader(dir_.path()); }));
  }

  const test::TemporaryDirectory dir_;
};

TEST_F(ShardIndexing, GoesByShardAndPlaceAndReadsEverySample) {
  shard("b.tar", {{"x/3.jpg", "three"}, {"x/4.jpg", std::string(2000, '4')}});
  shard("a.tar", {{"y/2.jpg", "two"}, {"y/1.png", ""}});
  write();
  const ShardReader reader(dir_.path());
  ASSERT_EQ(reader.index().samples.size(), 4u);
  EXPECT_EQ(reader.index().labels, LabelKind::folder);
  EXPECT_THAT(reader.index().classes, testing::ElementsAre("x", "y"));
  EXPECT_THAT(labels_of(reader.index()), testing::ElementsAre(1, 1, 0, 0));
  const std::string expected[] = {"two", "", "three", std::string(2000, '4')};
  Bytes bytes;
  for (const size_t i : {3u, 0u, 1u, 2u}) {
    reader.read(i, true, bytes);
    EXPECT_EQ(std::string(bytes.begin(), bytes.end()), expected[i]);
  }
  EXPECT_EQ(without_folder(reader.key(2)), "DIR/b.tar: x/3.jpg");
}

TEST_F(ShardIndexing, SurvivesTheFileAndIsTheSameOnAnyThreads) {
  for (int i = 0; i < 9; ++i)
    shard("s" + std::to_string(i) + ".tar", {{"a/" + std::to_string(i) + ".jpg", "x"}, {"b/" + std::to_string(i) + ".jpg", "y"}});
  const Bytes bytes = encode_shard_index(make({}, 1).index);
  EXPECT_EQ(bytes, encode_shard_index(make({}, 8).index));
  EXPECT_EQ(bytes, encode_shard_index(parse_shard_index(bytes, "index")));
}

TEST_F(ShardIndexing, LabelsComeFromClsThenJsonThenFolders) {
  shard("a.tar",
        {{"k/1.jpg", "x"}, {"k/1.cls", " 7\n"}, {"k/1.json", R"({"label": 3})"}, {"l/2.json", R"({"cls": 4})"}, {"l/2.cls", "9"}, {"l/2.jpeg", "y"}});
  EXPECT_THAT(labels_of(make().index), testing::ElementsAre(7, 9));
  EXPECT_TRUE(make().index.classes.empty());
  EXPECT_THAT(labels_of(make(LabelKind::json).index), testing::ElementsAre(3, 4));
  EXPECT_THAT(labels_of(make(LabelKind::folder).index), testing::ElementsAre(0, 1));
  EXPECT_THAT(labels_of(make(LabelKind::none).index), testing::ElementsAre(-1, -1));
  shard("a.tar", {{"1.jpg", "x"}, {"1.json", R"({"label": 3})"}, {"1.txt", "a cat"}});
  EXPECT_EQ(make().index.labels, LabelKind::json);
  shard("a.tar", {{"1.jpg", "x"}, {"1.json", R"({"label": [1, 2]})"}});
  EXPECT_EQ(make().index.labels, LabelKind::none);
  shard("a.tar", {{"n1/1.jpg", "x"}, {"n1/1.cls", "0"}, {"n2/1.jpg", "x"}, {"n2/1.cls", "1"}});
  EXPECT_THAT(make().index.classes, testing::ElementsAre("n1", "n2")) << "folders that agree with the numbers name them";
}

TEST_F(ShardIndexing, LabelsAsPeopleWriteThem) {
  shard("a.tar",
        {{"1.jpg", "x"}, {"1.json", R"({"label": "bee", "score": NaN, "say": "NaN \\"})"}, {"2.jpg", "x"}, {"2.json", R"({"class": "ant"})"}});
  EXPECT_THAT(make().index.classes, testing::ElementsAre("ant", "bee"));
  EXPECT_THAT(labels_of(make().index), testing::ElementsAre(1, 0));
  shard("a.tar", {{"1.jpg", "x"},
                  {"1.json", R"({"label": "2"})"},
                  {"2.jpg", "x"},
                  {"2.json", R"({"label": 3.0})"},
                  {"3.jpg", "x"},
                  {"3.json", R"({"cls": null})"}});
  EXPECT_THAT(labels_of(make().index), testing::ElementsAre(2, 3, -1));
  shard("a.tar", {{"1.jpg", "x"}, {"1.cls", "48000000"}, {"2.jpg", "x"}, {"2.cls", "1180000"}});
  EXPECT_THAT(make().index.classes, testing::ElementsAre("1180000", "48000000"));
  EXPECT_EQ(make().index.class_count(), 2);
  EXPECT_TRUE(make().index.numbers());
  shard("a.tar", {{"1.jpg", "x"}, {"1.cls", "cat"}, {"2.jpg", "x"}, {"2.cls", "0"}});
  EXPECT_THAT(make().remark, HasSubstr("some labels are numbers"));
}

TEST_F(ShardIndexing, OneOfSeveralPicturesIsTheImage) {
  shard("a.tar", {{"1.seg.png", "mask"}, {"1.jpg", "x"}, {"1.depth.png", "d"}, {"2.jpg", "y"}, {"2.seg.png", "mask"}});
  const IndexedShards made = make();
  EXPECT_EQ(made.index.name(made.index.samples[0]), "1.jpg");
  EXPECT_EQ(made.index.name(made.index.samples[1]), "2.jpg");
  EXPECT_EQ(make({}, 1, "seg.png").index.name(make({}, 1, "seg.png").index.samples[1]), "2.seg.png");
  shard("a.tar", {{"1.jpg", "x"}, {"1.png", "y"}});
  EXPECT_EQ(make({}, 1, "png").index.name(make({}, 1, "png").index.samples[0]), "1.png");
}

TEST_F(ShardIndexing, TheTextBesideAnImageIsItsCaption) {
  const std::string tower(66'000, 't');
  shard("a.tar", {{"1.txt", "a red flag"}, {"1.jpg", "x"}, {"1.cls", "2"}, {"2.jpg", "y"}, {"2.cls", "1"}, {"2.txt", "über"}});
  shard("b.tar", {{"3.jpg", "x"}, {"3.cls", "0"}, {"3.txt", ""}, {"4.jpg", "x"}, {"4.cls", "0"}, {"4.txt", tower}, {"5.jpg", "x"}, {"5.cls", "0"}});
  write();
  EXPECT_EQ(make().passed_over, 0u);
  const ShardReader reader(dir_.path());
  std::vector<std::string> texts;
  for (size_t sample = 0; sample < 5; ++sample) {
    Bytes text = {1, 2};
    reader.read_caption(sample, true, text);
    texts.emplace_back(text.begin(), text.end());
  }
  EXPECT_THAT(texts, testing::ElementsAre("a red flag", "über", "", "", ""));
  std::string changed = test::get_file(dir_ / "a.tar");
  changed.replace(changed.find("red"), 3, "old");
  test::put_file(dir_ / "a.tar", changed);
  EXPECT_EQ(open_fault(), "DIR/a.tar is not the shard that was indexed: run flowrun index DIR");
}

TEST_F(ShardIndexing, WithoutCaptionsAnIndexIsAsItEverWas) {
  shard("a.tar", {{"1.jpg", "x"}, {"1.txt", ""}});
  EXPECT_TRUE(make().index.captions.empty());
  EXPECT_EQ(encode_shard_index(make().index)[8], 1);
  shard("a.tar", {{"1.jpg", "x"}, {"1.txt", "t"}});
  EXPECT_EQ(encode_shard_index(make().index)[8], 2);
}

TEST_F(ShardIndexing, MembersOfMacOS) {
  shard("a.tar", {{"./._1.jpg", "mac"}, {"./1.jpg", "x"}, {"./._1.cls", "mac"}, {"./1.cls", "2"}});
  const IndexedShards made = make();
  ASSERT_EQ(made.index.samples.size(), 1u);
  EXPECT_EQ(made.index.name(made.index.samples[0]), "1.jpg");
  EXPECT_EQ(made.index.samples[0].label, 2);
}

TEST_F(ShardIndexing, ClassFoldersAreThoseBelowWhatAllShare) {
  shard("a.tar", {{"./train/dog/1.jpg", ""}, {"./train/dog/2.jpg", ""}});
  shard("b.tar", {{"./train/cat/deep/1.JPEG", ""}, {"./train/dot.ted/1.jpg", ""}});
  EXPECT_THAT(make().index.classes, testing::ElementsAre("cat", "dog", "dot.ted"));
  EXPECT_THAT(labels_of(make().index), testing::ElementsAre(1, 1, 0, 2));
  shard("c.tar", {{"./train/1.jpg", ""}});
  EXPECT_EQ(make().index.labels, LabelKind::none) << "images beside the folders: flat";
}

TEST_F(ShardIndexing, MembersOfNoImageArePassedOver) {
  shard("a.tar", {{"README", "r"}, {"._1.jpg", "mac"}, {"dir/.hidden.jpg", "h"}, {"1.jpg", "x"}, {"1.txt", "t"}, {"notes.txt", "n"}});
  const IndexedShards made = make();
  EXPECT_EQ(made.index.samples.size(), 1u);
  EXPECT_EQ(made.passed_over, 4u);
}

TEST_F(ShardIndexing, FaultsNameShardAndMember) {
  shard("a.tar", {{"x/0.jpg", ""}, {"x/0.cls", "0"}});
  EXPECT_EQ(fault("b.tar", {{"x/1.jpg", ""}, {"x/2.jpg", ""}, {"x/1.cls", "1"}}),
            "DIR/b.tar: the sample x/1 comes again, apart from its other members; the members of a sample must follow one another");
  EXPECT_EQ(fault("b.tar", {{"x/1.jpg", ""}, {"x/1.png", ""}}),
            "DIR/b.tar: the sample x/1 has two images, x/1.jpg and x/1.png; choose one by --image jpg or --image png");
  EXPECT_THAT(fault("b.tar", {{"x/v1.0_1.jpg", ""}, {"x/v1.0_2.jpg", ""}}), HasSubstr("a sample's key ends at the first dot of its name"));
  EXPECT_EQ(fault("b.tar", {{"x/1.cls", "1"}}), "DIR/b.tar: the sample x/1 has no image, only x/1.cls");
  EXPECT_EQ(fault("b.tar", {{"x/1.jpg", ""}, {"x/1.cls", "c\x01t\n"}}), "DIR/b.tar: x/1.cls holds \"c?t\", not the number or the name of a class");
  for (const char* label : {"-2", "0.5"}) {
    EXPECT_THAT(fault("b.tar", {{"x/1.jpg", ""}, {"x/1.cls", label}}),
                HasSubstr("DIR/b.tar: the label of x/1.jpg is " + std::string(label) + ", which is no class"));
  }
  EXPECT_EQ(fault("b.tar", {{"x/1.jpg", ""}, {"x/1.cls", std::string(70000, '1')}}), "DIR/b.tar: x/1.cls has 70000 bytes, too many for a label");
  EXPECT_EQ(fault("b.tar", {{"x/1.jpg", ""}, {"x/1.cls", "1"}, {"x/1.cls", "1"}}), "DIR/b.tar: x/1.cls: the sample has another .cls");
  EXPECT_EQ(fault("b.tar", {{"x/1.jpg", ""}}),
            "DIR/b.tar: x/1.jpg has no .cls beside it, as others have; choose other labels with --labels, or none with --labels none");
  EXPECT_EQ(fault("b.tar", {{"x/1.jpg", ""}}, LabelKind::folder),
            "the images of DIR/a.tar lie in no folders of classes; choose other labels with --labels");
  EXPECT_EQ(fault("b.tar.gz", {}), "DIR/b.tar.gz has no random access: decompress it; .tar and .tar.zst are read");
  put(dir_ / "z.tar", Bytes{0x1f, 0x8b, 8, 0, 0, 0, 0, 0});
  EXPECT_EQ(without_folder(test::message_of<Error>([&] { make(); })),
            "DIR/z.tar is compressed by gzip, which has no random access: decompress it (gzip -d); .tar and .tar.zst are read");
}

TEST_F(ShardIndexing, NoShardsNoImages) {
  EXPECT_EQ(without_folder(test::message_of<Error>([&] { make(); })), "no .tar or .tar.zst in DIR");
  EXPECT_EQ(fault("a.tar", {{"a.txt", ""}}), "no image (" + image_extensions("or") + ") in DIR/a.tar");
  EXPECT_EQ(open_fault(), "no index.flowrun in DIR: run flowrun index DIR");
  const std::string twice[] = {"x.tar", "x.tar"};
  EXPECT_EQ(test::message_of<Error>([&] { list_shards(twice); }), "x.tar is named twice");
}

TEST_F(ShardIndexing, WhatChangedIsNoticed) {
  shard("a.tar", {{"x/1.jpg", std::string(300'000, '1')}, {"y/2.jpg", "two"}});
  shard("b.tar", {{"x/3.jpg", "three"}});
  write();
  const std::string whole = test::get_file(dir_ / "a.tar");
  test::put_file(dir_ / "a.tar", whole.substr(0, 200'000));
  EXPECT_EQ(open_fault(),
            "DIR/a.tar is cut short, or not the shard that was indexed: it has 200000 of 302592 bytes; fetch it again, or run flowrun index DIR");
  test::put_file(dir_ / "a.tar", whole + std::string(512, '\0'));
  EXPECT_EQ(open_fault(), "DIR/a.tar is not the shard that was indexed: run flowrun index DIR");
  std::string changed = whole;
  changed[600] = '2';
  test::put_file(dir_ / "a.tar", changed);
  EXPECT_EQ(open_fault(), "DIR/a.tar is not the shard that was indexed: run flowrun index DIR") << "at its begin";
  changed = whole;
  changed[150'000] = '2';
  test::put_file(dir_ / "a.tar", changed);
  const ShardReader reader(dir_.path());
  Bytes bytes;
  EXPECT_EQ(without_folder(test::message_of<Error>([&] { reader.read(0, true, bytes); })),
            "DIR/a.tar changed since it was indexed: x/1.jpg has other bytes; run flowrun index DIR");
  reader.read(0, false, bytes);
  EXPECT_EQ(bytes[150'000 - 512], '2') << "unverified: as it lies there";
  fs::remove(dir_ / "b.tar");
  EXPECT_EQ(open_fault(), "DIR/b.tar is missing, but the index names it: fetch it, or run flowrun index DIR");
}

TEST_F(ShardIndexing, TheIndexFileIsChecked) {
  shard("a.tar", {{"x/1.jpg", "1"}});
  write();
  const std::string whole = test::get_file(dir_ / shard_index_name);
  const auto with = [&](const std::string& text) { return test::put_file(dir_ / shard_index_name, text), open_fault(); };
  EXPECT_EQ(with(whole.substr(0, whole.size() - 1)), "DIR/index.flowrun is damaged or cut short: run flowrun index again");
  EXPECT_EQ(with(whole.substr(0, 20)), "DIR/index.flowrun is cut short: run flowrun index again");
  std::string changed = whole;
  changed.back() ^= 1;
  EXPECT_EQ(with(changed), "DIR/index.flowrun is damaged or cut short: run flowrun index again");
  changed = whole;
  changed[8] = 3;
  EXPECT_EQ(with(changed), "DIR/index.flowrun is of version 3, this program reads 1 and 2: run flowrun index again");
  EXPECT_EQ(with("a text that is no index"), "DIR/index.flowrun is not an index of shards");
}

TEST_F(ShardIndexing, ZstdFramesOfAnySizeAreReadByPlace) {
  Members members;
  for (int i = 0; i < 40; ++i) {
    std::string text;
    for (int j = 0; j < 900 * i; ++j) text += static_cast<char>(int64_t{j} * j * (i + 7) >> 3);
    members.emplace_back("c" + std::to_string(i % 3) + "/" + std::to_string(100 + i) + ".jpg", text);
  }
  std::sort(members.begin(), members.end());
  const Bytes plain = tar_of(members);
  for (const size_t piece : {plain.size(), size_t{50'000}, size_t{700}}) {
    Bytes compressed;
    for (size_t at = 0; at < plain.size(); at += piece)
      append_zstd_frame(std::span(plain).subspan(at, std::min(piece, plain.size() - at)), compressed);
    put(dir_ / "a.tar.zst", compressed);
    write();
    const ShardReader reader(dir_.path());
    ASSERT_EQ(reader.index().samples.size(), members.size());
    Bytes bytes;
    for (size_t i = members.size(); i-- > 0;) {
      reader.read(i, true, bytes);
      EXPECT_EQ(std::string(bytes.begin(), bytes.end()), members[i].second) << piece;
    }
  }
  const std::string folder = dir_.path().string();
  const auto shards = list_shards(std::span(&folder, 1));
  put(dir_ / "a.tar.zst", [&] {
    Bytes out;
    append_zstd_frame(plain, out);
    return out;
  }());
  EXPECT_THAT(without_folder(test::message_of<Error>([&] { index_shards(shards, dir_.path(), {.largest_frame = 100'000}); })),
              testing::MatchesRegex("DIR/a.tar.zst has a zstd frame of 0 MiB, which .*: write the shards anew by flowrun pack DIR OUT"));
}

TEST_F(ShardIndexing, DamagedZstdIsNoticedWhenItIsRead) {
  std::string noise;
  for (uint32_t i = 0, x = 1; i < 400'000; ++i) noise += static_cast<char>((x = x * 1664525 + 1013904223) >> 24);
  Bytes compressed;
  append_zstd_frame(tar_of({{"x/1.jpg", noise}}), compressed);
  put(dir_ / "a.tar.zst", compressed);
  write();
  compressed[compressed.size() / 2] ^= 4;
  put(dir_ / "a.tar.zst", compressed);
  const ShardReader reader(dir_.path());
  Bytes bytes;
  EXPECT_THAT(
      without_folder(test::message_of<Error>([&] { reader.read(0, true, bytes); })),
      testing::MatchesRegex("DIR/a.tar.zst changed since it was indexed: x/1.jpg can't be read \\(damaged zstd data: .*\\); run flowrun index DIR"));
}

TEST_F(ShardIndexing, IndexElsewhereNamesShardsByTheirPath) {
  shard("data/a.tar", {{"x/1.jpg", "1"}});
  const fs::path shards[] = {dir_ / "data/a.tar"};
  fs::create_directories(dir_ / "other");
  put(dir_ / "other/my.index", encode_shard_index(index_shards({shards[0]}, dir_ / "other", {}).index));
  put(dir_ / "above.index", encode_shard_index(index_shards({shards[0]}, dir_.path(), {}).index));
  EXPECT_EQ(ShardReader(dir_ / "above.index").index().shards[0].name, "data/a.tar");
  const ShardReader reader(dir_ / "other/my.index");
  Bytes bytes;
  reader.read(0, true, bytes);
  EXPECT_EQ(bytes, Bytes{'1'});
}

}  // namespace
}  // namespace flowrun::io
