#include "io/run/run_directory.h"

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
#include "io/run/checkpoint.h"
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
              AllOf(HasSubstr((dir / "run").string()), HasSubstr("no complete checkpoint"), HasSubstr("--out")));
  CheckpointWriter(dir / "run/checkpoints", 3).commit();
  EXPECT_THAT(message_of<Error>([&] { RunDirectory(dir / "run", false); }),
              AllOf(HasSubstr((dir / "run").string()), HasSubstr("continue it with --resume"), HasSubstr("--out")));
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

TEST(RunDirectory, UndoRemovesWhatItMadeAndNothingElse) {
  const test::TemporaryDirectory dir;
  put_file(dir / "mine/notes.txt", "mine");
  put_file(dir / "mine/log.txt", "older");
  for (const char* const out : {"new/run", "new/..", "new/../mine", "mine", "a/b/../c", "mine/inner/", "./x//y"}) {
    const RunDirectory run(dir.path() / out, false);
    put_file(run.paths().metrics, "");
    put_file(run.paths().root / "events.out.tfevents.1.flowrun", "");
    run.undo();
    EXPECT_EQ(get_file(dir / "mine/notes.txt"), "mine") << out;
    EXPECT_EQ(get_file(dir / "mine/log.txt"), "older") << out;
    std::vector<std::string> left;
    for (const auto& entry : fs::recursive_directory_iterator(dir.path())) left.push_back(entry.path().lexically_relative(dir.path()));
    EXPECT_THAT(left, testing::UnorderedElementsAre("mine", "mine/notes.txt", "mine/log.txt")) << out;
  }
  const RunDirectory run(dir / "new/run", false);
  put_file(dir / "new/run/thesis.tex", "put there meanwhile");
  put_file(dir / "new/run/checkpoints/model.pth", "the same");
  run.undo();
  EXPECT_EQ(get_file(dir / "new/run/thesis.tex"), "put there meanwhile");
  EXPECT_EQ(get_file(dir / "new/run/checkpoints/model.pth"), "the same");
}

TEST(RunDirectory, AFailedAttemptLeavesNoFolders) {
  const test::TemporaryDirectory dir;
  put_file(dir / "run/checkpoints", "a file where a folder belongs");
  EXPECT_THAT(message_of<Error>([&] { RunDirectory(dir / "new/../run", false); }), HasSubstr("holds a run already"));
  EXPECT_FALSE(fs::exists(dir / "new"));
  EXPECT_EQ(get_file(dir / "run/checkpoints"), "a file where a folder belongs");
}

TEST(RunDirectory, ARunThatIsThereStaysWhole) {
  const test::TemporaryDirectory dir;
  const std::vector<std::string> names = {"pipeline.resolved.json",
                                          "metrics.jsonl",
                                          "evaluations.jsonl",
                                          "log.txt",
                                          "result.json",
                                          "data.json",
                                          "report.html",
                                          "events.out.tfevents.1.flowrun",
                                          "checkpoints/step-2/manifest.json"};
  for (const std::string& name : names) put_file(dir / "run" / name, name);
  EXPECT_THAT(message_of<Error>([&] { RunDirectory(dir / "run", false); }), HasSubstr("holds a run already"));
  for (const std::string& name : names) EXPECT_EQ(get_file(dir / "run" / name), name);
}

TEST(RunDirectory, KnowsWhetherItIsInPlace) {
  const test::TemporaryDirectory dir;
  const RunDirectory run(dir / "run", false);
  EXPECT_TRUE(run.in_place());
  fs::rename(dir / "run", dir / "moved");
  EXPECT_FALSE(run.in_place());
  fs::create_directory(dir / "run");
  EXPECT_FALSE(run.in_place());
  run.undo();
  EXPECT_TRUE(fs::exists(dir / "moved/checkpoints"));
}

TEST(RunDirectory, NamesOfRunsFiles) {
  for (const char* const name :
       {"pipeline.resolved.json", "metrics.jsonl", "log.txt", "process.json", "events.out.tfevents.1700000000.flowrun", "checkpoints", "report.html",
        "checkpoints/step-12", "checkpoints/step-12/student.safetensors", "checkpoints/.step-12.tmp/manifest.json", "collapse-step-3.json",
        "collapse/step-3/update.safetensors", "features", "features/step-0.safetensors", "features/teacher-step-12.safetensors",
        "features/.step-12.safetensors.tmp-12-0", ".status.json.tmp-12-0", ".status.json.tmp-12-0-0123abcd"}) {
    EXPECT_TRUE(is_run_file(name)) << name;
  }
  for (const char* const name : {"thesis.tex", "checkpoints/model.pth", "checkpoints/step-1/notes.txt", "events.out.tfevents.1700000000.host",
                                 "metrics", "metrics.jsonl/x", "checkpoints/step-1/a/b.safetensors", "features/step-.safetensors",
                                 "features/notes.txt", "sub/metrics.jsonl", ".git", "..", "", "checkpoints/.."}) {
    EXPECT_FALSE(is_run_file(name)) << name;
  }
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

TEST(JsonLines, ARemovedFileIsAnError) {
  const test::TemporaryDirectory dir;
  JsonLines lines(dir / "metrics.jsonl");
  lines.append({{"step", 1}});
  fs::remove(dir / "metrics.jsonl");
  EXPECT_THAT(message_of<Error>([&] { lines.append({{"step", 2}}); }), HasSubstr("was removed"));
}

}  // namespace
}  // namespace flowrun::io
