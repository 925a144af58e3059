#include "nodes/source/selection.h"

#include <fstream>
#include <gmock/gmock.h>

#include "io/error.h"
#include "support/io_files.h"

namespace flowrun::source {
namespace {

using testing::HasSubstr;
namespace test = io::test;

io::ImageFolder folder() {
  io::ImageFolder out;
  out.root = "pictures";
  out.classes = {"cat", "dog"};
  for (int label = 0; label < 2; ++label) {
    for (int i = 0; i < 10; ++i) out.files.push_back({out.classes[static_cast<size_t>(label)] + "/" + std::to_string(10 + i) + ".jpg", label});
  }
  out.files.push_back({"dog/only.jpg", 1});
  return out;
}

std::vector<std::string> paths(const std::vector<io::ImageFile>& files) {
  std::vector<std::string> out;
  for (const auto& file : files) out.push_back(file.path);
  return out;
}

TEST(SourceSelection, ListsKeepTheFolderOrder) {
  const test::TemporaryDirectory dir;
  test::put_file(dir / "list.txt", "dog/12.jpg\r\n\ncat/11.jpg\nonly.jpg\n");
  EXPECT_THAT(paths(take_listed(folder().files, dir / "list.txt")), testing::ElementsAre("cat/11.jpg", "dog/12.jpg", "dog/only.jpg"));
}

TEST(SourceSelection, FaultsOfListsNameTheLine) {
  const test::TemporaryDirectory dir;
  const auto fault = [&](const std::string& text) {
    test::put_file(dir / "list.txt", text);
    return test::message_of<io::Error>([&] { take_listed(folder().files, dir / "list.txt"); });
  };
  EXPECT_THAT(fault("cat/11.jpg\n\ncat/99.jpg\n"), HasSubstr("list.txt:3: the folder has no file \"cat/99.jpg\""));
  EXPECT_THAT(fault("11.jpg\n"), HasSubstr("list.txt:1: several files are called \"11.jpg\""));
  EXPECT_THAT(fault("dog/only.jpg\nonly.jpg\n"), HasSubstr("list.txt:2: \"only.jpg\" was named in line 1 already"));
  EXPECT_THAT(fault("\n"), HasSubstr("names no file"));
  EXPECT_THAT(test::message_of<io::Error>([&] { take_listed(folder().files, dir / "none.txt"); }), HasSubstr("none.txt"));
}

TEST(SourceSelection, DrawsPerClass) {
  const auto some = take_per_class(folder(), 4, 0);
  ASSERT_EQ(some.size(), 8u);
  EXPECT_EQ(std::count_if(some.begin(), some.end(), [](const auto& f) { return f.label == 0; }), 4);
  EXPECT_EQ(paths(some), paths(take_per_class(folder(), 4, 0)));
  EXPECT_NE(paths(some), paths(take_per_class(folder(), 4, 1)));
  // Pinned: a low-shot list is part of a published protocol, and must not change with machine or version.
  EXPECT_THAT(paths(take_per_class(folder(), 2, 0)), testing::ElementsAre("cat/11.jpg", "cat/12.jpg", "dog/13.jpg", "dog/19.jpg"));
  EXPECT_THAT(test::message_of<io::Error>([&] { take_per_class(folder(), 11, 0); }), HasSubstr("class cat has 10 images, fewer than per_class = 11"));
  io::ImageFolder flat = folder();
  flat.classes.clear();
  EXPECT_THAT(test::message_of<io::Error>([&] { take_per_class(flat, 1, 0); }), HasSubstr("class folders"));
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

}  // namespace
}  // namespace flowrun::source
