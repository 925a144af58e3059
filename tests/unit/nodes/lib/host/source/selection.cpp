#include "nodes/lib/host/source/selection.h"

#include <fstream>
#include <gmock/gmock.h>

#include "io/error.h"
#include "support/io_files.h"

namespace flowrun::source {
namespace {

using testing::HasSubstr;
namespace test = io::test;

/// Ten of each of two classes, and one more.
const std::vector<std::string> paths = [] {
  std::vector<std::string> out;
  for (const char* name : {"cat", "dog"}) {
    for (int i = 0; i < 10; ++i) out.push_back(std::string(name) + "/" + std::to_string(10 + i) + ".jpg");
  }
  out.emplace_back("dog/only.jpg");
  return out;
}();

Candidates candidates() {
  Candidates out{.names = {paths.begin(), paths.end()}, .classes = {"cat", "dog"}, .without_labels = "they are alike"};
  for (const std::string& path : paths) out.labels.push_back(path.starts_with("dog"));
  return out;
}

std::vector<std::string> chosen(const std::vector<size_t>& indices) {
  std::vector<std::string> out;
  for (const size_t i : indices) out.push_back(paths[i]);
  return out;
}

std::vector<size_t> per_class(int64_t count, uint64_t seed, const Candidates& from = candidates()) {
  std::vector<size_t> all;
  for (size_t i = 0; i < from.names.size(); ++i) all.push_back(i);
  return take_per_class(from, all, count, seed);
}

TEST(SourceSelection, DrawsPerClass) {
  const auto some = chosen(per_class(4, 0));
  ASSERT_EQ(some.size(), 8u);
  EXPECT_EQ(std::count_if(some.begin(), some.end(), [](const auto& path) { return path.starts_with("cat"); }), 4);
  EXPECT_EQ(some, chosen(per_class(4, 0)));
  EXPECT_NE(some, chosen(per_class(4, 1)));
  // Pinned: a low-shot list is part of a published protocol, and must not change with machine or version.
  EXPECT_THAT(chosen(per_class(2, 0)), testing::ElementsAre("cat/11.jpg", "cat/12.jpg", "dog/13.jpg", "dog/19.jpg"));
  EXPECT_EQ(test::message_of<io::Error>([&] { per_class(11, 0); }), "class cat has 10 images, fewer than per_class = 11");
  Candidates flat = candidates();
  flat.labels.assign(flat.names.size(), -1);
  EXPECT_EQ(test::message_of<io::Error>([&] { per_class(1, 0, flat); }), "per_class needs labels, but they are alike");
}

TEST(SourceSelection, ClassesMayBeMixedAndWithoutNames) {
  // Shards may have any order: of each class the same places are drawn as when they lie together.
  Candidates mixed;
  for (size_t i = 0; i < 20; ++i) mixed.names.push_back(paths[i]), mixed.labels.push_back(static_cast<int>(i % 2));
  const auto drawn = per_class(2, 0, mixed);
  EXPECT_EQ(std::count_if(drawn.begin(), drawn.end(), [](size_t i) { return i % 2 == 0; }), 2);
  EXPECT_THAT(drawn, testing::IsSupersetOf({size_t{2}, size_t{4}})) << "the second and the third, as of the cats";
  EXPECT_TRUE(std::is_sorted(drawn.begin(), drawn.end()));
  EXPECT_EQ(test::message_of<io::Error>([&] { per_class(11, 0, mixed); }), "class 0 has 10 images, fewer than per_class = 11");
}

TEST(SourceSelection, ClassesAsGiven) {
  Selection selection;
  selection.classes = {"emu", "dog", "cat"};
  const Chosen chosen = selection.choose(candidates());
  EXPECT_EQ(chosen.classes, selection.classes);
  EXPECT_EQ(chosen.labels.front(), 2);
  EXPECT_EQ(chosen.labels.back(), 1);
  selection.classes = {"cat"};
  EXPECT_EQ(test::message_of<io::Error>([&] { selection.choose(candidates()); }), "classes does not list these classes of the data: dog");
}

TEST(SourceSelection, LabelsOfAListAreTheLabels) {
  const test::TemporaryDirectory dir;
  test::put_file(dir / "list.csv", "path,label\ndog/only.jpg,wolf\ncat/11.jpg,lynx\n");
  Selection selection;
  selection.list = (dir / "list.csv").string();
  const Chosen chosen = selection.choose(candidates());
  EXPECT_THAT(chosen.classes, testing::ElementsAre("lynx", "wolf"));
  EXPECT_THAT(chosen.labels, testing::ElementsAre(0, 1));
}

TEST(SourceSelection, PartsShareNothingAndMissNothing) {
  const auto kept = part_indices(50, "kept", 0.2, 3), held = part_indices(50, "held_out", 0.2, 3);
  EXPECT_EQ(held.size(), 10u);
  std::vector<size_t> both = kept;
  both.insert(both.end(), held.begin(), held.end());
  std::sort(both.begin(), both.end());
  EXPECT_EQ(both, part_indices(50, "all", 0.2, 3));
  EXPECT_NE(held, part_indices(50, "held_out", 0.2, 4));
  EXPECT_EQ(part_indices(2, "kept", 0.9, 0).size(), 1u);
}

TEST(SourceSelection, RangesAreOfWhatIsLeft) {
  Selection selection;
  selection.ranges = {1, 3, 4, 5};
  EXPECT_THAT(selection.choose(candidates()).samples, testing::ElementsAre(1, 2, 4));
  selection.limit = 5;
  const std::vector<size_t> limited = Selection{.limit = 5}.choose(candidates()).samples;
  EXPECT_THAT(selection.choose(candidates()).samples, testing::ElementsAre(limited[1], limited[2], limited[4]));
  const std::vector<std::vector<int64_t>> wrong = {{1}, {2, 2}, {3, 2}, {2, 4, 3, 5}, {0, 6}};
  for (const auto& ranges : wrong) {
    selection.ranges = ranges;
    EXPECT_THAT(test::message_of<io::Error>([&] { selection.choose(candidates()); }), testing::HasSubstr("ranges must be pairs"));
  }
}

}  // namespace
}  // namespace flowrun::source
