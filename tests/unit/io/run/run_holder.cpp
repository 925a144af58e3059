#include "io/run/run_holder.h"

#include <gmock/gmock.h>
#include <nlohmann/json.hpp>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "io/error.h"
#include "io/run/run_directory.h"
#include "support/io_files.h"

namespace flowrun::io {
namespace {

namespace fs = std::filesystem;
using test::get_file;
using test::message_of;
using test::put_file;
using testing::HasSubstr;

/// A process that holds FILE until it is killed.
class Child {
 public:
  explicit Child(const fs::path& file) {
    int ready[2];
    if (pipe(ready) != 0) std::abort();
    pid = fork();
    if (pid == 0) {
      signal(SIGUSR1, SIG_IGN);
      const RunHolder holder(file);
      if (write(ready[1], "x", 1) != 1) _exit(1);
      pause();
      _exit(0);
    }
    char byte = 0;
    EXPECT_EQ(read(ready[0], &byte, 1), 1);
    close(ready[0]), close(ready[1]);
  }
  ~Child() { end(); }
  void end() {
    if (pid > 0) kill(pid, SIGKILL), waitpid(pid, nullptr, 0);
    pid = -1;
  }
  pid_t pid;
};

TEST(RunHolder, IsReachedWhileItLives) {
  const test::TemporaryDirectory dir;
  Child child(dir / "process.json");
  const HeldProcess held(dir / "process.json");
  EXPECT_EQ(held.pid(), child.pid);
  EXPECT_TRUE(held.signal(SIGUSR1));
  child.end();
  EXPECT_FALSE(held.signal(SIGUSR1));
  EXPECT_THAT(message_of<Error>([&] { HeldProcess(dir / "process.json"); }), HasSubstr("no process holds"));
}

TEST(RunHolder, TheFileGoesWithIt) {
  const test::TemporaryDirectory dir;
  {
    const RunHolder holder(dir / "process.json");
    const auto json = nlohmann::json::parse(get_file(dir / "process.json"));
    EXPECT_EQ(json["pid"], getpid());
    EXPECT_EQ(json["start"], start_of_process(getpid()));
    EXPECT_GT(start_of_process(getpid()), 0);
  }
  EXPECT_TRUE(fs::is_empty(dir.path()));
}

TEST(RunHolder, WhatAFileSaysIsNotEnough) {
  const test::TemporaryDirectory dir;
  const Child child(dir / "process.json");
  const auto named = nlohmann::json::parse(get_file(dir / "process.json"));
  const auto said = [&](const char* key, const nlohmann::json& value) {
    auto json = named;
    json[key] = value;
    // In place: the lock is the file's.
    std::FILE* const file = std::fopen((dir / "process.json").c_str(), "r+");
    const std::string text = json.dump();
    std::fwrite(text.data(), 1, text.size(), file);
    std::fclose(file);
    fs::resize_file(dir / "process.json", text.size());
    return message_of<Error>([&] { HeldProcess(dir / "process.json"); });
  };
  for (const int64_t pid : {int64_t{getpid()}, int64_t{0}, int64_t{-1}, int64_t{1}, INT64_MAX}) {
    EXPECT_THAT(said("pid", pid), HasSubstr("does not hold it")) << pid;
  }
  EXPECT_THAT(said("start", named["start"].get<int64_t>() + 1), HasSubstr("another one now"));
  EXPECT_THAT(said("start", nullptr), HasSubstr("older version"));
  EXPECT_THAT(said("host", "elsewhere"), HasSubstr("runs on elsewhere"));
  EXPECT_THAT(said("host", 7), HasSubstr("another machine"));
}

TEST(RunHolder, TemporariesOfTheDeadAreRemoved) {
  const test::TemporaryDirectory dir;
  const pid_t dead = fork();
  if (dead == 0) _exit(0);
  waitpid(dead, nullptr, 0);
  const std::string gone = ".a.json.tmp-" + std::to_string(dead) + "-0";
  for (const std::string& name : {gone, gone + "-00000000", ".a.json.tmp-" + std::to_string(getpid()) + "-0", std::string(".a.tmp-x-1"),
                                  std::string("a.tmp-") + std::to_string(dead) + "-0"}) {
    put_file(dir / name, "torn");
  }
  fs::create_directory(dir / (".folder.tmp-" + std::to_string(dead) + "-0"));
  EXPECT_EQ(remove_dead_temporaries(dir.path()), 1);
  EXPECT_FALSE(fs::exists(dir / gone));
  // The program recognises its own file.
  const pid_t writer = fork();
  if (writer == 0) {
    auto* const file = new AtomicFile(dir / "b.json");
    file->write(std::as_bytes(std::span("x", 1)));
    _exit(0);
  }
  waitpid(writer, nullptr, 0);
  EXPECT_EQ(remove_dead_temporaries(dir.path()), 1);
  EXPECT_EQ(remove_dead_temporaries(dir / "nowhere"), 0);
}

}  // namespace
}  // namespace flowrun::io
