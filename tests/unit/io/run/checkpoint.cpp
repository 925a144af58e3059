#include "io/run/checkpoint.h"

#include <cstring>
#include <fstream>
#include <gmock/gmock.h>
#include <random>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "io/error.h"
#include "support/io_files.h"

namespace flowrun::io {
namespace {

namespace fs = std::filesystem;
using test::get_file;
using test::message_of;
using test::names_in;
using test::put_file;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr size_t weights_count = 20'000;

// Weights that tell their step.
std::vector<float> weights_at(int64_t step) { return std::vector<float>(weights_count, static_cast<float>(step)); }

fs::path write_checkpoint(const fs::path& root, int64_t step) {
  const std::vector<float> weights = weights_at(step);
  const std::vector<TensorEntry> entries = {{"w", "F32", {static_cast<int64_t>(weights.size())}, std::as_bytes(std::span(weights))}};
  CheckpointWriter writer(root, step);
  writer.add_tensors("student.safetensors", entries, {{"arch", "vit"}});
  writer.add_json("optimizer.json", {{"step", step}});
  return writer.commit({{"ledger", "00ff"}, {"loss", 0.1}});
}

void expect_content(const fs::path& directory) {
  const Manifest manifest = open_checkpoint(directory);
  EXPECT_EQ(directory.filename(), "step-" + std::to_string(manifest.step));
  const SafetensorsFile file(directory / "student.safetensors");
  const auto expected = weights_at(manifest.step);
  ASSERT_EQ(file.at("w").data.size(), expected.size() * 4);
  EXPECT_EQ(std::memcmp(file.at("w").data.data(), expected.data(), expected.size() * 4), 0);
}

TEST(Checkpoint, RoundTrip) {
  const test::TemporaryDirectory dir;
  const fs::path root = dir / "run/checkpoints";
  EXPECT_THAT(message_of<Error>([&] { write_checkpoint(root, 12); }), HasSubstr("cannot create directory")) << "a run that was removed stays so";
  fs::create_directory(dir / "run");
  const fs::path written = write_checkpoint(root, 12);
  EXPECT_EQ(written, root / "step-12");
  EXPECT_THAT(names_in(root), ElementsAre("step-12"));
  EXPECT_THAT(names_in(written), ElementsAre("manifest.json", "optimizer.json", "student.safetensors"));
  const Manifest manifest = open_checkpoint(written);
  EXPECT_EQ(manifest.step, 12);
  EXPECT_EQ(manifest.extra, (nlohmann::json{{"ledger", "00ff"}, {"loss", 0.1}}));
  ASSERT_EQ(manifest.files.size(), 2);
  EXPECT_EQ(manifest.files[0].name, "optimizer.json");
  EXPECT_EQ(manifest.files[1].bytes, fs::file_size(written / "student.safetensors"));
  EXPECT_EQ(manifest.files[1].xxh3_64.size(), 16);
  expect_content(written);
}

TEST(Checkpoint, NewestIsByNumberNotByName) {
  const test::TemporaryDirectory dir;
  EXPECT_EQ(newest_complete_checkpoint(dir / "none"), std::nullopt);
  EXPECT_EQ(newest_complete_checkpoint(dir.path()), std::nullopt);
  for (const int64_t step : {9, 100, 20}) write_checkpoint(dir.path(), step);
  put_file(dir / "step-xyz/manifest.json", "{}");
  put_file(dir / "step-0200/manifest.json", "{}");
  put_file(dir / "step-300", "a file");
  EXPECT_EQ(newest_complete_checkpoint(dir.path()), dir / "step-100");
}

TEST(Checkpoint, DamagedOnesAreSkippedWithTheirReason) {
  const test::TemporaryDirectory dir;
  for (int64_t step = 1; step <= 6; ++step) write_checkpoint(dir.path(), step);
  fs::remove(dir / "step-6/manifest.json");
  fs::remove(dir / "step-5/student.safetensors");
  fs::resize_file(dir / "step-4/student.safetensors", 100);
  {
    std::fstream file(dir / "step-3/student.safetensors", std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(5000);
    file.put('\x55');
  }
  std::string manifest = get_file(dir / "step-2/manifest.json");
  manifest.replace(manifest.find("00ff"), 4, "00fe");
  put_file(dir / "step-2/manifest.json", manifest);
  std::vector<std::string> skipped;
  EXPECT_EQ(newest_complete_checkpoint(dir.path(), &skipped), dir / "step-1");
  EXPECT_THAT(skipped, ElementsAre(AllOf(HasSubstr("step-6/manifest.json"), HasSubstr("No such file")),
                                   AllOf(HasSubstr("step-5/student.safetensors"), HasSubstr("No such file")),
                                   AllOf(HasSubstr("step-4/student.safetensors"), HasSubstr("has 100 bytes")),
                                   AllOf(HasSubstr("step-3/student.safetensors"), HasSubstr("damaged")),
                                   AllOf(HasSubstr("step-2/manifest.json"), HasSubstr("its hash differs"))));
}

TEST(Checkpoint, RenamedOneIsSkipped) {
  const test::TemporaryDirectory dir;
  write_checkpoint(dir.path(), 1);
  write_checkpoint(dir.path(), 2);
  fs::rename(dir / "step-2", dir / "step-7");
  std::vector<std::string> skipped;
  EXPECT_EQ(newest_complete_checkpoint(dir.path(), &skipped), dir / "step-1");
  EXPECT_THAT(skipped, ElementsAre(HasSubstr("says step 2")));
}

TEST(Checkpoint, SameStepIsReplaced) {
  const test::TemporaryDirectory dir;
  write_checkpoint(dir.path(), 3);
  CheckpointWriter writer(dir.path(), 3);
  writer.add_json("other.json", 1);
  writer.commit();
  EXPECT_THAT(names_in(dir.path()), ElementsAre("step-3"));
  EXPECT_THAT(names_in(dir / "step-3"), ElementsAre("manifest.json", "other.json"));
}

TEST(Checkpoint, WithoutCommitNothingIsThere) {
  const test::TemporaryDirectory dir;
  {
    CheckpointWriter writer(dir.path(), 1);
    writer.add_json("a.json", 1);
    EXPECT_THAT(names_in(dir.path()), ElementsAre(".step-1.tmp"));
  }
  EXPECT_THAT(names_in(dir.path()), IsEmpty());
}

TEST(Checkpoint, LeftoversAreRemovedByTheNextWriter) {
  const test::TemporaryDirectory dir;
  put_file(dir / ".step-4.tmp/student.safetensors", "torn");
  put_file(dir / ".step-2.tmp-old/manifest.json", "old");
  put_file(dir / "notes.txt", "mine");
  write_checkpoint(dir.path(), 4);
  EXPECT_THAT(names_in(dir.path()), ElementsAre("notes.txt", "step-4"));
}

TEST(Checkpoint, NamesMayNotLeadOut) {
  const test::TemporaryDirectory dir;
  CheckpointWriter writer(dir.path(), 1);
  EXPECT_THAT(message_of<Error>([&] { writer.add_json("../x.json", 1); }), HasSubstr("cannot be called"));
  EXPECT_THAT(message_of<Error>([&] { writer.add_json("", 1); }), HasSubstr("cannot be called"));
  writer.add_json("a.json", 1);
  EXPECT_THAT(message_of<Error>([&] { writer.add_json("a.json", 1); }), HasSubstr("File exists"));
}

TEST(Checkpoint, KeepsNewestCompleteAndTheOneJustWritten) {
  const test::TemporaryDirectory dir;
  for (int64_t step = 1; step <= 5; ++step) write_checkpoint(dir.path(), step);
  fs::remove(dir / "step-5/student.safetensors");
  keep_newest_checkpoints(dir.path(), 2, dir / "step-1");
  EXPECT_THAT(names_in(dir.path()), ElementsAre("step-1", "step-3", "step-4", "step-5"));
  keep_newest_checkpoints(dir.path(), 0, dir / "step-4");
  EXPECT_THAT(names_in(dir.path()), ElementsAre("step-4", "step-5"));
}

TEST(Checkpoint, NotANumberSurvivesInTheManifest) {
  const test::TemporaryDirectory dir;
  CheckpointWriter writer(dir.path(), 1);
  const fs::path written = writer.commit({{"loss", NAN}, {"name", "\xff"}, {"tiny", 5e-324}, {"big", UINT64_MAX}});
  EXPECT_TRUE(open_checkpoint(written).extra["loss"].is_null());
}

// Runs CALL with file sizes limited to BYTES.
void with_size_limit(rlim_t bytes, const std::function<void()>& call) {
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &before), 0);
  auto* const handler = signal(SIGXFSZ, SIG_IGN);
  const rlimit limited{bytes, before.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &limited), 0);
  call();
  setrlimit(RLIMIT_FSIZE, &before);
  signal(SIGXFSZ, handler);
}

TEST(Checkpoint, FailedWritesLeaveEarlierOnesIntact) {
  const test::TemporaryDirectory dir;
  write_checkpoint(dir.path(), 1);
  // From nothing at all to all but the last byte of the weights, whose 64-aligned header is 128 bytes.
  for (const rlim_t limit : {0, 1, 8, 100, 128, 4096, 70'000, 80'127}) {
    std::string message;
    with_size_limit(limit, [&] { message = message_of<Error>([&] { write_checkpoint(dir.path(), 2); }); });
    EXPECT_THAT(message, AllOf(HasSubstr("student.safetensors"), HasSubstr("File too large"))) << limit;
    EXPECT_THAT(names_in(dir.path()), ElementsAre("step-1")) << limit;
    expect_content(dir / "step-1");
  }
}

// In a child with its own mounts: fills a small file system with checkpoints until it is full. Returns what went wrong,
// or "" when all was right, or "skip" where mounting is not allowed.
std::string fill_small_disk(const fs::path& mount_point, const char* options) {
  if (unshare(CLONE_NEWNS) != 0 && unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0) return "skip";
  mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr);
  if (mount("tmpfs", mount_point.c_str(), "tmpfs", 0, options) != 0) return "skip";
  int64_t step = 0;
  const std::string message = message_of<Error>([&] {
    while (step < 1000) write_checkpoint(mount_point / "c", ++step);
  });
  if (message.find("No space left on device; free some space") == std::string::npos) return "message: " + message;
  const auto newest = newest_complete_checkpoint(mount_point / "c");
  if (newest != mount_point / "c" / ("step-" + std::to_string(step - 1))) return "an earlier checkpoint was lost";
  for (const std::string& name : names_in(mount_point / "c")) {
    if (name.starts_with(".")) return "left behind: " + name;
  }
  return "";
}

class CheckpointFullDisk : public testing::TestWithParam<const char*> {};

TEST_P(CheckpointFullDisk, OneClearErrorAndNothingLost) {
  const test::TemporaryDirectory dir;
  fs::create_directory(dir / "disk");
  int pipe_ends[2];
  ASSERT_EQ(pipe(pipe_ends), 0);
  const pid_t child = fork();
  if (child == 0) {
    const std::string result = fill_small_disk(dir / "disk", GetParam());
    _exit(write(pipe_ends[1], result.data(), result.size()) < 0 ? 1 : 0);
  }
  close(pipe_ends[1]);
  char text[4096];
  const ssize_t count = read(pipe_ends[0], text, sizeof text);
  close(pipe_ends[0]);
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  ASSERT_EQ(status, 0);
  const std::string result(text, count > 0 ? static_cast<size_t>(count) : 0);
  if (result == "skip") GTEST_SKIP() << "this user may not mount a small file system";
  EXPECT_EQ(result, "");
}

// Space runs out inside a file; names run out at a file, at a directory, or at the manifest.
INSTANTIATE_TEST_SUITE_P(Options, CheckpointFullDisk,
                         testing::Values("size=400k", "size=404k", "size=384k", "nr_inodes=11", "nr_inodes=12", "nr_inodes=13", "nr_inodes=14"));

[[noreturn]] void write_for_ever(const fs::path& root, int64_t step) {
  try {
    while (true) {
      const fs::path written = write_checkpoint(root, step++);
      keep_newest_checkpoints(root, 2, written);
    }
  } catch (const std::exception& error) {
    fprintf(stderr, "%s\n", error.what());
  }
  _exit(1);
}

TEST(Checkpoint, KilledAtAnyMomentTheNewestIsWholeAndNeverOlder) {
  const test::TemporaryDirectory dir;
  std::mt19937 random(1);  // NOLINT(cert-msc51-cpp): the same moments each time, as far as the machine allows
  int64_t newest_step = 0;
  int torn = 0;
  for (int round = 0; round < 60 || (torn <= 5 && round < 1000); ++round) {
    const pid_t child = fork();
    if (child == 0) write_for_ever(dir.path(), newest_step + 1);
    // The moment is a number of changes that the writer made, and some looks more.
    int status = 0;
    std::vector<std::string> names = names_in(dir.path());
    for (auto changes = random() % 12; changes > 0;) {
      std::vector<std::string> now = names_in(dir.path());
      if (now != names) --changes, names = std::move(now);
      ASSERT_EQ(waitpid(child, &status, WNOHANG), 0) << "the writer failed before the kill";
    }
    for (auto looks = random() % 50; looks > 0; --looks) (void)names_in(dir.path());
    kill(child, SIGKILL);
    ASSERT_EQ(waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFSIGNALED(status)) << "the writer failed before the kill";
    for (const std::string& name : names_in(dir.path())) torn += name.starts_with(".") ? 1 : 0;
    std::vector<std::string> skipped;
    const auto newest = newest_complete_checkpoint(dir.path(), &skipped);
    EXPECT_THAT(skipped, IsEmpty());
    if (!newest) {
      EXPECT_EQ(newest_step, 0) << "all checkpoints are gone";
      continue;
    }
    expect_content(*newest);
    const int64_t step = open_checkpoint(*newest).step;
    EXPECT_GE(step, newest_step);
    newest_step = step;
  }
  EXPECT_GT(newest_step, 10);
  EXPECT_GT(torn, 5) << "too few kills fell into a write to show anything";
}

}  // namespace
}  // namespace flowrun::io
