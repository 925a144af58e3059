#include "io/run_directory.h"

#include <cmath>
#include <fcntl.h>
#include <gmock/gmock.h>
#include <nlohmann/json.hpp>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

#include "io/error.h"
#include "support/io_files.h"

namespace flowrun::io {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;
using test::get_file;
using test::message_of;
using test::put_file;
using testing::AllOf;
using testing::HasSubstr;

TEST(RunDirectory, CreatesParentsAndGivesTheAgreedNames) {
  const test::TemporaryDirectory dir;
  const RunDirectory run(dir / "a/b/run", false);
  const RunPaths& paths = run.paths();
  EXPECT_TRUE(fs::is_directory(dir / "a/b/run/checkpoints"));
  EXPECT_EQ(paths.pipeline, dir / "a/b/run/pipeline.resolved.json");
  EXPECT_EQ(paths.metrics, dir / "a/b/run/metrics.jsonl");
  EXPECT_EQ(paths.stats, dir / "a/b/run/stats.json");
  EXPECT_EQ(paths.result, dir / "a/b/run/result.json");
  EXPECT_EQ(paths.quarantine, dir / "a/b/run/quarantine.jsonl");
  EXPECT_EQ(paths.log, dir / "a/b/run/log.txt");
}

TEST(RunDirectory, RefusesToOverwriteARun) {
  const test::TemporaryDirectory dir;
  { const RunDirectory run(dir / "run", false); }
  put_file(dir / "run/pipeline.resolved.json", "{}");
  EXPECT_THAT(message_of<Error>([&] { RunDirectory(dir / "run", false); }),
              AllOf(HasSubstr((dir / "run").string()), HasSubstr("--resume"), HasSubstr("--out")));
  const RunDirectory again(dir / "run", true);
}

TEST(RunDirectory, OtherFilesDoNotMakeARun) {
  const test::TemporaryDirectory dir;
  put_file(dir / "run/slurm-1.out", "");
  EXPECT_FALSE(holds_run(dir / "run"));
  { const RunDirectory run(dir / "run", false); }
  put_file(dir / "run/metrics.jsonl", "");
  EXPECT_FALSE(holds_run(dir / "run")) << "killed while it opened";
  const RunDirectory run(dir / "run", false);
  put_file(dir / "run/checkpoints/step-1/manifest.json", "{}");
  EXPECT_TRUE(holds_run(dir / "run"));
}

TEST(RunDirectory, ResumeNeedsARun) {
  const test::TemporaryDirectory dir;
  EXPECT_THAT(message_of<Error>([&] { RunDirectory(dir / "run", true); }), HasSubstr("no run to resume"));
  EXPECT_FALSE(fs::exists(dir / "run"));
}

TEST(RunDirectory, RefusesFilesAndWhatCannotBeMade) {
  const test::TemporaryDirectory dir;
  put_file(dir / "file", "");
  EXPECT_THAT(message_of<Error>([&] { RunDirectory(dir / "file", false); }), HasSubstr("is a file"));
  EXPECT_THAT(message_of<Error>([&] { RunDirectory(dir / "file/run", false); }), HasSubstr("Not a directory"));
}

TEST(RunDirectory, TwoWritersAreRefused) {
  const test::TemporaryDirectory dir;
  const RunDirectory run(dir / "run", false);
  EXPECT_THAT(message_of<Error>([&] { RunDirectory(dir / "run", false); }), HasSubstr("another process"));
  put_file(dir / "run/pipeline.resolved.json", "{}");
  EXPECT_THAT(message_of<Error>([&] { RunDirectory(dir / "run", true); }), HasSubstr("another process"));
}

TEST(JsonLines, OneObjectPerLineVisibleAtOnce) {
  const test::TemporaryDirectory dir;
  JsonLines lines(dir / "m.jsonl");
  lines.append({{"step", 1}, {"loss", 0.5}});
  EXPECT_EQ(get_file(dir / "m.jsonl"), "{\"step\":1,\"loss\":0.5}\n");
  lines.append({{"loss", NAN}, {"file", "a\nb\xff"}});
  EXPECT_EQ(get_file(dir / "m.jsonl"), "{\"step\":1,\"loss\":0.5}\n{\"loss\":null,\"file\":\"a\\nb\xEF\xBF\xBD\"}\n");
}

TEST(JsonLines, ReopeningAppendsAfterTheLastWholeLine) {
  const test::TemporaryDirectory dir;
  put_file(dir / "m", "{\"step\":1}\n{\"ste");
  JsonLines(dir / "m").append({{"step", 2}});
  EXPECT_EQ(get_file(dir / "m"), "{\"step\":1}\n{\"step\":2}\n");
  put_file(dir / "torn", "{\"ste");
  const JsonLines torn(dir / "torn");
  EXPECT_EQ(get_file(dir / "torn"), "");
}

TEST(JsonLines, ThreadsDoNotMixLines) {
  const test::TemporaryDirectory dir;
  JsonLines lines(dir / "m");
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&lines, t] {
      for (int i = 0; i < 200; ++i) lines.append({{"thread", t}, {"text", std::string(100, 'x')}});
    });
  }
  for (std::thread& thread : threads) thread.join();
  std::istringstream text(get_file(dir / "m"));
  int count = 0;
  for (std::string line; std::getline(text, line); ++count) EXPECT_TRUE(Json::accept(line)) << line;
  EXPECT_EQ(count, 800);
}

TEST(JsonLines, AFailedWriteLeavesNoTornLine) {
  const test::TemporaryDirectory dir;
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &before), 0);
  auto* const handler = signal(SIGXFSZ, SIG_IGN);
  const rlimit small{50, before.rlim_max};
  JsonLines lines(dir / "m");
  lines.append({{"step", 1}});
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &small), 0);
  const std::string message = message_of<Error>([&] { lines.append({{"text", std::string(100, 'x')}}); });
  setrlimit(RLIMIT_FSIZE, &before);
  signal(SIGXFSZ, handler);
  EXPECT_THAT(message, HasSubstr("File too large"));
  lines.append({{"step", 2}});
  EXPECT_EQ(get_file(dir / "m"), "{\"step\":1}\n{\"step\":2}\n");
}

TEST(JsonLines, TruncatingDropsLaterStepsAndTornLines) {
  const test::TemporaryDirectory dir;
  put_file(dir / "m", "{\"step\":10}\n{\"note\":1}\n{\"step\":20}\nnot json\n{\"step\":30}\n{\"step\":20,\"l\":[1]}\n{\"step\":1");
  EXPECT_EQ(truncate_json_lines(dir / "m", 20), 3);
  EXPECT_EQ(get_file(dir / "m"), "{\"step\":10}\n{\"note\":1}\n{\"step\":20}\n{\"step\":20,\"l\":[1]}\n");
  EXPECT_EQ(truncate_json_lines(dir / "m", 20), 0);
  EXPECT_EQ(truncate_json_lines(dir / "none", 20), 0);
}

}  // namespace
}  // namespace flowrun::io
