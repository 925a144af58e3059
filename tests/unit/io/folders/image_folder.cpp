#include "io/folders/image_folder.h"

#include <gmock/gmock.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io/error.h"
#include "support/io_files.h"

namespace flowrun::io {
namespace {

namespace fs = std::filesystem;
using test::message_of;
using test::put_file;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

std::vector<std::string> paths_of(const ImageFolder& folder) {
  std::vector<std::string> paths;
  for (const ImageFile& file : folder.files) paths.push_back(std::to_string(file.label) + " " + file.path);
  return paths;
}

TEST(ImageFolder, ClassesAndFilesSortedByBytes) {
  const test::TemporaryDirectory dir;
  for (const char* name : {"b/2.JPG", "b/10.jpeg", "b/deep/x/1.Jpg", "B/a.JPEG", "a-b/q.jpg", "a/z.jpg", "\xc3\xa9/q.jpg", "a/notes.txt",
                           "a/.hidden.jpg", ".git/x.jpg", "a/.cache/x.jpg", "a/jpg", "README.md"}) {
    put_file(dir / name, "");
  }
  fs::create_directory(dir / "empty");
  const ImageFolder folder = list_image_folder(dir.path());
  EXPECT_EQ(folder.root, dir.path());
  EXPECT_THAT(folder.classes, ElementsAre("B", "a", "a-b", "b", "\xc3\xa9")) << "an empty folder is no class";
  EXPECT_THAT(paths_of(folder),
              ElementsAre("0 B/a.JPEG", "1 a/z.jpg", "2 a-b/q.jpg", "3 b/10.jpeg", "3 b/2.JPG", "3 b/deep/x/1.Jpg", "4 \xc3\xa9/q.jpg"));
  EXPECT_THAT(folder.passed_over, ElementsAre(testing::Pair("", 1u), testing::Pair(".md", 1u), testing::Pair(".txt", 1u)));
}

TEST(ImageFolder, FlatFolderHasNoClasses) {
  const test::TemporaryDirectory dir;
  put_file(dir / "b.jpg", "");
  put_file(dir / "a.jpg", "12345");
  fs::create_directories(dir / "empty/more");
  const ImageFolder folder = list_image_folder(dir.path());
  EXPECT_THAT(folder.classes, IsEmpty());
  EXPECT_THAT(paths_of(folder), ElementsAre("-1 a.jpg", "-1 b.jpg"));
  EXPECT_EQ(folder.files[0].size, 5u);
  EXPECT_THAT(folder.strays, IsEmpty());
}

TEST(ImageFolder, PicturesBesideClassFoldersHaveNoClass) {
  const test::TemporaryDirectory dir;
  for (const char* name : {"b.jpg", "more/c.jpg", "a/x.jpg"}) put_file(dir / name, "");
  const ImageFolder folder = list_image_folder(dir.path());
  EXPECT_THAT(folder.classes, ElementsAre("a", "more"));
  EXPECT_THAT(paths_of(folder), ElementsAre("0 a/x.jpg", "-1 b.jpg", "1 more/c.jpg")) << "by path, as in a flat folder";
  EXPECT_THAT(folder.strays, ElementsAre("b.jpg"));
}

TEST(ImageFolder, FoldersOfProgramsAreNoClasses) {
  const test::TemporaryDirectory dir;
  for (const char* name : {"ant/1.jpg", "__MACOSX/ant/._1.jpg", "__MACOSX/ant/1.jpg", "@eaDir/1.jpg", "lost+found/1.jpg", ".ipynb_checkpoints/1.jpg",
                           "ant/@eaDir/1.jpg", "ant/.thumbs/1.jpg", "$RECYCLE.BIN/1.jpg", "notes/a.txt"}) {
    put_file(dir / name, "");
  }
  const ImageFolder folder = list_image_folder(dir.path());
  EXPECT_THAT(folder.classes, ElementsAre("ant"));
  EXPECT_THAT(paths_of(folder), ElementsAre("0 ant/1.jpg"));
  EXPECT_THAT(folder.tool_folders, testing::UnorderedElementsAre("__MACOSX", "@eaDir", "lost+found", "$RECYCLE.BIN", "ant/@eaDir"));
}

TEST(ImageFolder, FoldersOneTooDeepAreSeen) {
  const test::TemporaryDirectory dir;
  for (const char* name : {"train/ant/1.jpg", "train/bee/1.jpg"}) put_file(dir / name, "");
  put_file(dir / "train/a-b/1.jpg", "");
  put_file(dir / "train/a/1.jpg", "");
  const ImageFolder folder = list_image_folder(dir.path());
  EXPECT_THAT(folder.classes, ElementsAre("a", "a-b", "ant", "bee"));
  EXPECT_EQ(folder.around, "train");
  EXPECT_THAT(paths_of(folder), ElementsAre("1 train/a-b/1.jpg", "0 train/a/1.jpg", "2 train/ant/1.jpg", "3 train/bee/1.jpg"))
      << "by path, as before";
  put_file(dir / "train/1.jpg", "");
  EXPECT_THAT(list_image_folder(dir.path()).classes, ElementsAre("train")) << "it has a picture of its own";
  fs::remove(dir / "train/1.jpg");
  put_file(dir / "val/ant/1.jpg", "");
  EXPECT_THAT(list_image_folder(dir.path()).classes, ElementsAre("train", "val"));
}

TEST(ImageFolder, ClassFoldersThatLinkToEachOtherEnd) {
  const test::TemporaryDirectory dir;
  constexpr int folders = 12;  // all paths through them would be 12!
  const auto name = [](int i) { return "c" + std::to_string(10 + i); };
  for (int i = 0; i < folders; ++i) put_file(dir / name(i) / "x.jpg", "");
  for (int i = 0; i < folders; ++i) {
    for (int j = 0; j < folders; ++j) fs::create_directory_symlink(dir / name(j), dir / name(i) / ("to" + std::to_string(10 + j)));
  }
  const ImageFolder folder = list_image_folder(dir.path());
  EXPECT_EQ(folder.files.size(), size_t{folders * folders}) << "each folder once in each class";
  EXPECT_FALSE(folder.shared.empty());
}

TEST(ImageFolder, LinksAreFollowedButNotInCircles) {
  const test::TemporaryDirectory dir;
  put_file(dir / "store/x.jpg", "");
  put_file(dir / "data/a/y.jpg", "");
  fs::create_directory_symlink(dir / "store", dir / "data/b");
  fs::create_symlink(dir / "store/x.jpg", dir / "data/a/link.jpg");
  fs::create_symlink(dir / "nowhere.jpg", dir / "data/a/dangling.jpg");
  fs::create_directory_symlink(dir / "data", dir / "data/a/up");
  EXPECT_THAT(paths_of(list_image_folder(dir / "data")), ElementsAre("0 a/dangling.jpg", "0 a/link.jpg", "0 a/y.jpg", "1 b/x.jpg"))
      << "a link to nowhere is found when it is read, not left out in silence";
}

TEST(ImageFolder, MissingNamesWhatIsThere) {
  const test::TemporaryDirectory dir;
  put_file(dir / "train/a/x.jpg", "");
  fs::create_directory(dir / "val");
  EXPECT_THAT(message_of<Error>([&] { list_image_folder(dir / "trian"); }),
              AllOf(HasSubstr("no folder " + (dir / "trian").string()), HasSubstr("holds train, val")));
  EXPECT_THAT(message_of<Error>([&] { list_image_folder(dir / "no/such/one"); }), HasSubstr(dir.path().string() + " holds train, val"));
  EXPECT_THAT(message_of<Error>([&] { list_image_folder("no-such-folder-at-all"); }), HasSubstr(". holds "));
}

TEST(ImageFolder, RefusesFilesAndFoldersWithoutImages) {
  const test::TemporaryDirectory dir;
  put_file(dir / "data/a/x.bmp", "");
  put_file(dir / "data/a/y.txt", "");
  put_file(dir / "data/README", "");
  EXPECT_THAT(message_of<Error>([&] { list_image_folder(dir / "data/README"); }), HasSubstr("is a file"));
  EXPECT_THAT(message_of<Error>([&] { list_image_folder(dir / "data"); }),
              AllOf(HasSubstr("no .jpg, .jpeg, "), HasSubstr("3 other files, such as a/x.bmp")));
}

TEST(ImageFolder, UnreadableIsAnErrorNotASmallerSet) {
  const test::TemporaryDirectory dir;
  put_file(dir / "a/x.jpg", "");
  put_file(dir / "b/x.jpg", "");
  ASSERT_EQ(chmod(dir.path().c_str(), 0755), 0);
  ASSERT_EQ(chmod((dir / "b").c_str(), 0), 0);
  // Permissions do not bind root.
  const bool was_root = geteuid() == 0;
  ASSERT_EQ(was_root ? seteuid(65534) : 0, 0);
  const std::string message = message_of<Error>([&] { list_image_folder(dir.path()); });
  ASSERT_EQ(was_root ? seteuid(0) : 0, 0);
  chmod((dir / "b").c_str(), 0755);
  EXPECT_THAT(message, AllOf(HasSubstr((dir / "b").string()), HasSubstr("Permission denied")));
}

}  // namespace
}  // namespace flowrun::io
