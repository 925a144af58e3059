#include "io/file.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io/error.h"
#include "support/io_files.h"

namespace flowrun::io {
namespace {

using test::get_file;
using test::message_of;
using test::names_in;
using test::put_file;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

TEST(File, ReadsWholeAndKeepsCapacity) {
  const test::TemporaryDirectory dir;
  put_file(dir / "long", std::string(100'000, 'x'));
  put_file(dir / "short", "abc");
  put_file(dir / "empty", "");
  std::vector<uint8_t> bytes;
  read_file(dir / "long", bytes);
  EXPECT_EQ(bytes.size(), 100'000);
  const uint8_t* const before = bytes.data();
  read_file(dir / "short", bytes);
  EXPECT_EQ(std::string(bytes.begin(), bytes.end()), "abc");
  read_file(dir / "empty", bytes);
  EXPECT_TRUE(bytes.empty());
  read_file(dir / "long", bytes);
  EXPECT_EQ(bytes.data(), before) << "the buffer was reallocated";
}

TEST(File, ReadsFilesThatDoNotKnowTheirSize) {
  std::vector<uint8_t> bytes;
  read_file("/proc/self/status", bytes);
  EXPECT_THAT(std::string(bytes.begin(), bytes.end()), HasSubstr("VmRSS"));
}

TEST(File, ReadingNamesFileAndReason) {
  const test::TemporaryDirectory dir;
  std::vector<uint8_t> bytes;
  EXPECT_THAT(message_of<Error>([&] { read_file(dir / "none", bytes); }), AllOf(HasSubstr((dir / "none").string()), HasSubstr("No such file")));
  EXPECT_THAT(message_of<Error>([&] { read_file(dir.path(), bytes); }), HasSubstr("is a directory"));
  ASSERT_EQ(mkfifo((dir / "pipe").c_str(), 0600), 0);
  EXPECT_THAT(message_of<Error>([&] { read_file(dir / "pipe", bytes); }), HasSubstr("not a regular file"));
}

TEST(File, SizesAreLookedAtBeforeMemoryIsTaken) {
  const test::TemporaryDirectory dir;
  put_file(dir / "hole", "x");
  std::filesystem::resize_file(dir / "hole", uintmax_t{6} << 30);
  std::vector<uint8_t> bytes;
  EXPECT_THAT(message_of<Error>([&] { read_file(dir / "hole", bytes); }), AllOf(HasSubstr("it has 6144 MiB"), HasSubstr("files up to 4096 MiB")));
  EXPECT_THAT(message_of<Error>([&] { Folder(dir.path()).read("hole", bytes); }), HasSubstr("it has 6144 MiB"));
}

TEST(File, UnreadableIsNamed) {
  const test::TemporaryDirectory dir;
  put_file(dir / "secret", "abc");
  ASSERT_EQ(chmod((dir / "secret").c_str(), 0), 0);
  ASSERT_EQ(chmod(dir.path().c_str(), 0755), 0);
  const bool was_root = geteuid() == 0;
  // Permissions do not bind root.
  ASSERT_EQ(was_root ? seteuid(65534) : 0, 0);
  std::vector<uint8_t> bytes;
  const std::string message = message_of<Error>([&] { read_file(dir / "secret", bytes); });
  ASSERT_EQ(was_root ? seteuid(0) : 0, 0);
  EXPECT_THAT(message, AllOf(HasSubstr("secret"), HasSubstr("Permission denied")));
}

TEST(File, AtomicWriteReplacesAndLeavesNoTemporary) {
  const test::TemporaryDirectory dir;
  write_file_atomic(dir / "a", "first");
  write_file_atomic(dir / "a", "second");
  EXPECT_EQ(get_file(dir / "a"), "second");
  EXPECT_THAT(names_in(dir.path()), ElementsAre("a"));
}

TEST(File, WithoutCommitTheOldFileStays) {
  const test::TemporaryDirectory dir;
  write_file_atomic(dir / "a", "old");
  {
    AtomicFile file(dir / "a");
    file.write(std::as_bytes(std::span("new", 3)));
    EXPECT_EQ(names_in(dir.path()).size(), 2);
  }
  EXPECT_EQ(get_file(dir / "a"), "old");
  EXPECT_THAT(names_in(dir.path()), ElementsAre("a"));
}

TEST(File, FullDiskSaysSo) {
  const FileDescriptor full(open("/dev/full", O_WRONLY));
  if (!full) GTEST_SKIP() << "this system has no /dev/full";
  EXPECT_THAT(message_of<Error>([&] { write_all(full.get(), std::as_bytes(std::span("abc", 3)), "out/file"); }),
              AllOf(HasSubstr("out/file"), HasSubstr("No space left"), HasSubstr("free some space")));
}

TEST(File, WriteBeyondTheLimitKeepsTheOldFile) {
  const test::TemporaryDirectory dir;
  write_file_atomic(dir / "a", "old");
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &before), 0);
  auto* const handler = signal(SIGXFSZ, SIG_IGN);
  const rlimit small{1000, before.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &small), 0);
  const std::string message = message_of<Error>([&] { write_file_atomic(dir / "a", std::string(5000, 'x')); });
  setrlimit(RLIMIT_FSIZE, &before);
  signal(SIGXFSZ, handler);
  EXPECT_THAT(message, AllOf(HasSubstr((dir / "a").string()), HasSubstr("File too large")));
  EXPECT_EQ(get_file(dir / "a"), "old");
  EXPECT_THAT(names_in(dir.path()), ElementsAre("a"));
}

TEST(File, WritingIntoAMissingDirectoryFails) {
  const test::TemporaryDirectory dir;
  EXPECT_THAT(message_of<Error>([&] { write_file_atomic(dir / "no/such", "x"); }), AllOf(HasSubstr("no/such"), HasSubstr("No such file")));
}

}  // namespace
}  // namespace flowrun::io
