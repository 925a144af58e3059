#include "tools/app/web/run_list.h"

#include <fstream>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tools/app/load/diff.h"

namespace flowrun::app {
namespace {

namespace fs = std::filesystem;

class Runs : public testing::Test {
 protected:
  Runs() : folder_(fs::temp_directory_path() / ("flowrun-web-" + std::to_string(getpid()))) { fs::create_directories(folder_); }
  ~Runs() override { fs::remove_all(folder_); }

  fs::path write(const fs::path& path, const std::string& text) const {
    fs::create_directories((folder_ / path).parent_path());
    std::ofstream(folder_ / path) << text;
    return folder_ / path;
  }

  fs::path folder_;
};

TEST_F(Runs, OnlyPicturesAndTheReportOfARunAreServed) {
  const fs::path run = folder_ / "runs/a";
  write("secret.png", "secret");
  write("runs/b/x.png", "another run's");
  for (const char* name : {"x.png", "report.html", "other.html", "log.txt", ".hidden.png", "inner/y.png"}) write(fs::path("runs/a") / name, "x");
  fs::create_directory(run / "folder.png");
  fs::create_symlink("x.png", run / "inside.png");
  fs::create_symlink(folder_ / "secret.png", run / "leaves.png");
  fs::create_symlink("../b/x.png", run / "neighbour.png");
  fs::create_symlink("missing.png", run / "dangling.png");
  ASSERT_EQ(mkfifo((run / "pipe.png").c_str(), 0600), 0);
  for (const char* name : {"x.png", "report.html", "inside.png"}) EXPECT_EQ(served_file(run, name), run / name);
  for (const std::string name : {"", ".", "..", "other.html", "log.txt", ".hidden.png", "inner/y.png", "../b/x.png", "../../secret.png", "/etc/x.png",
                                 "folder.png", "leaves.png", "neighbour.png", "dangling.png", "pipe.png", "..\\x.png"}) {
    EXPECT_FALSE(served_file(run, name)) << name;
  }
  EXPECT_FALSE(served_file(run, (folder_ / "secret.png").string()));
  EXPECT_FALSE(served_file(run, std::string("report.html\0.png", 16)));
}

TEST_F(Runs, AreFoundAtAnyDepthAndNotBehindLinks) {
  for (const char* name : {"runs/a", "runs/sub/b", "runs/sub/sub/c", "elsewhere/d"})
    write(fs::path(name) / "pipeline.resolved.json", R"({"about": "x"})");
  write("runs/a/inner/pipeline.resolved.json", "{}");
  write("runs/empty/readme", "");
  fs::create_directory_symlink("../elsewhere", folder_ / "runs/link");
  fs::create_directory_symlink("..", folder_ / "runs/sub/circle");
  fs::create_directories(folder_ / "runs/stolen");
  fs::create_symlink(folder_ / "elsewhere/d/pipeline.resolved.json", folder_ / "runs/stolen/pipeline.resolved.json");
  RunList list(folder_ / "runs");
  std::vector<std::string> names;
  const auto found = list.list();
  for (const auto& run : found["runs"]) names.push_back(run["name"]);
  EXPECT_EQ(names, (std::vector<std::string>{"a", "sub/b", "sub/sub/c"}));
  EXPECT_EQ(list.find("sub/b"), folder_ / "runs/sub/b");
  for (const char* name : {"", ".", "..", "../elsewhere/d", "link/d", "a/../a", "/etc", "stolen"}) EXPECT_FALSE(list.find(name)) << name;
  fs::remove_all(folder_ / "runs/a");
  EXPECT_EQ(list.list()["runs"].size(), 2);
}

TEST_F(Runs, AreReadAgainWhenTheyChange) {
  write("a/pipeline.resolved.json", R"({"seed": 3, "run": {"device": "cpu"}})");
  write("a/metrics.jsonl", "{\"step\": 1, \"loss\": 2.5}\n");
  RunList list(folder_);
  const nlohmann::ordered_json first = list.list()["runs"][0];
  EXPECT_EQ(first["status"], "no result");
  EXPECT_EQ(first["loss"], 2.5);
  EXPECT_EQ(first["seed"], 3);
  write("a/metrics.jsonl", "{\"step\": 1, \"loss\": 2.5}\n{\"step\": 2, \"loss\": null}\n{\"step\": 3, \"lo");
  write("a/result.json", R"({"status": "failed", "error": "why", "steps": 2})");
  const nlohmann::ordered_json second = list.list()["runs"][0];
  EXPECT_EQ(second["status"], "failed");
  EXPECT_TRUE(second["loss"].is_null());
  EXPECT_EQ(second["step"], 2);
  EXPECT_EQ(second["error"], "why");
  EXPECT_EQ(list.facts(folder_ / "a"), list.facts(folder_ / "a")) << "kept";
  EXPECT_EQ(list.facts(folder_ / "a")->last_step, 2);
}

TEST_F(Runs, ThatAreDamagedAreStillListed) {
  for (const char* text : {"", "[]", "{", R"({"seed": {}, "run": 3, "nodes": [1, {"in": []}], "about": 1})"}) {
    write("a/pipeline.resolved.json", text);
    write("a/evaluations.jsonl", "{\"node\": 3}\n{\"node\": \"knn\", \"step\": \"x\"}\nnull\n");
    write("a/result.json", R"({"status": 5, "steps": "many"})");
    RunList list(folder_);
    EXPECT_EQ(list.list()["runs"].size(), 1) << text;
  }
}

TEST(ResolvedChanges, HoldForAnyJson) {
  using nlohmann::ordered_json;
  const auto changes = [](const char* a, const char* b) { return resolved_changes(ordered_json::parse(a), ordered_json::parse(b)).dump(); };
  EXPECT_EQ(changes(R"({"seed": 1, "run": {"a": 1}, "nodes": {"x": {"type": "t", "k": 1}}})",
                    R"({"seed": 2, "run": {"a": 1}, "nodes": {"x": {"type": "t", "k": 2}}})"),
            R"([{"path":"seed","from":1,"to":2},{"path":"nodes.x.k","from":1,"to":2}])");
  EXPECT_EQ(changes(R"({"nodes": {"x": {}}})", R"({"nodes": {"y": 3}})"),
            R"([{"path":"nodes.x","from":null,"to":null},{"path":"nodes.y","from":null,"to":null}])");
  EXPECT_EQ(changes(R"({"nodes": 3})", R"({"nodes": {}})"), R"([{"path":"nodes","from":3,"to":{}}])");
  EXPECT_EQ(changes(R"({"nodes": {"x": 1}})", R"({"nodes": {"x": {"type": 2}}})"), R"([{"path":"nodes.x.type","from":null,"to":2}])");
  EXPECT_EQ(changes("{}", "{}"), "[]");
}

}  // namespace
}  // namespace flowrun::app
