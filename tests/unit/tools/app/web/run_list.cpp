#include "tools/app/web/run_list.h"

#include <algorithm>
#include <fstream>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tools/app/load/diff.h"
#include "tools/app/run_file.h"

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
  const auto served = [&](const std::string& name) { return is_served(name) && RunFile(run / name, run); };
  for (const char* name : {"x.png", "report.html", "inside.png"}) EXPECT_TRUE(served(name)) << name;
  for (const std::string name : {"", ".", "..", "other.html", "log.txt", ".hidden.png", "inner/y.png", "../b/x.png", "../../secret.png", "/etc/x.png",
                                 "folder.png", "leaves.png", "neighbour.png", "dangling.png", "pipe.png", "..\\x.png"}) {
    EXPECT_FALSE(served(name)) << name;
  }
  EXPECT_FALSE(served((folder_ / "secret.png").string()));
  EXPECT_FALSE(served(std::string("report.html\0.png", 16)));
}

TEST_F(Runs, FilesAreReadWithinTheirBounds) {
  const fs::path path = write("a/log.txt", "one\n" + std::string(100, 'x') + "\n\ntwo\nlast");
  const RunFile file(path, folder_ / "a");
  std::vector<std::string> lines;
  const auto take = [&](std::string_view line) { lines.emplace_back(line); };
  file.each_line(take, 99, 1000);
  EXPECT_EQ(lines, (std::vector<std::string>{"one", "", "two", "last"})) << "the long one is skipped";
  lines.clear();
  file.each_line(take, 100, 6, 2);
  EXPECT_EQ(lines, (std::vector<std::string>{"e", std::string(4, 'x')})) << "from and up to a byte";
  EXPECT_EQ(file.text(file.size())->size(), 114U);
  EXPECT_FALSE(file.text(file.size() - 1));
  EXPECT_FALSE(RunFile(folder_ / "a", folder_)) << "a folder";
  EXPECT_FALSE(RunFile(path, folder_ / "b")) << "another run's";
}

TEST_F(Runs, AreNotReadThroughLinksPipesAndDevices) {
  const std::map<std::string, std::string> files = {{"metrics.jsonl", R"({"step": 7, "loss": 1})"},
                                                    {"evaluations.jsonl", R"({"node": "knn", "step": 7, "accuracy": 1})"},
                                                    {"quarantine.jsonl", R"({"step": 7})"},
                                                    {"result.json", R"({"status": "done"})"},
                                                    {"stats.json", R"({"nodes": {}})"},
                                                    {"log.txt", "warning: x"}};
  write("a/pipeline.resolved.json", "{}");
  const auto said = [&] {
    const RunFacts facts(folder_ / "a");
    return (facts.lines > 0) + 10 * !facts.evaluations.empty() + 100 * (facts.quarantined > 0) + 1000 * !facts.result.is_null() +
           10000 * !facts.stats.is_null() + 100000 * !facts.warnings.empty();
  };
  for (const auto& [name, text] : files) write(fs::path("a") / name, text + "\n");
  EXPECT_EQ(said(), 111111);
  for (const auto& [name, text] : files) fs::rename(folder_ / "a" / name, folder_ / name), fs::create_symlink("../" + name, folder_ / "a" / name);
  EXPECT_EQ(said(), 0) << "links that leave the run";
  for (const auto& [name, text] : files) {
    fs::remove(folder_ / "a" / name);
    ASSERT_EQ(mkfifo((folder_ / "a" / name).c_str(), 0600), 0);
  }
  EXPECT_EQ(said(), 0);
  for (const auto& [name, text] : files) fs::remove(folder_ / "a" / name), fs::create_symlink("/dev/zero", folder_ / "a" / name);
  EXPECT_EQ(said(), 0);
  for (const auto& [name, text] : files) {
    fs::remove(folder_ / "a" / name);
    write(fs::path("a") / name, "");
    fs::resize_file(folder_ / "a" / name, 100'000'000);  // without a newline
  }
  EXPECT_EQ(said(), 0);
}

TEST_F(Runs, HaveABoundedNumberOfEvaluations) {
  write("a/pipeline.resolved.json", "{}");
  std::string text;
  for (int i = 0; i < 300; ++i) text += R"({"node": "n)" + std::to_string(i) + R"(", "step": 1, "accuracy": 0.5})" + "\n";
  write("a/evaluations.jsonl", text);
  EXPECT_EQ(RunFacts(folder_ / "a").evaluations.size(), 100U);
}

TEST_F(Runs, HaveObjectsOfABoundedNumberOfKeys) {
  std::string text = R"({"seed": 7, "nodes": {)";
  for (int i = 0; i < 500'000; ++i) text += "\"" + std::to_string(i) + "\":0,";
  write("a/pipeline.resolved.json", text + R"("last": {"k": 1}}, "run": {"k": 1}, "about": "words"})");
  const RunFacts facts(folder_ / "a");
  EXPECT_EQ(facts.pipeline["nodes"].size(), 4096U);
  EXPECT_EQ(facts.pipeline["run"].dump(), R"({"k":1})") << "objects behind it count anew";
  EXPECT_EQ(facts.pipeline["about"], "words");
}

TEST_F(Runs, HaveCurvesOfSharesAndOfMainValues) {
  write("a/pipeline.resolved.json", "{}");
  std::string text = R"({"node": "knn", "step": 0, "accuracy": 0.5, "accuracy_5": 0.7, "neighbours": 20}
{"node": "likelihood", "step": 1, "epoch": 1, "loss": 3, "tokens": 9}
{"node": "likelihood", "step": 2, "epoch": 1, "loss": 2, "tokens": 9}
{"node": ")" + std::string(300, 'x') +
                     R"(", "step": 2, "loss": 2}
)";
  for (int i = 0; i < 200; ++i) text += R"({"node": "many", "step": 1, "accuracy_)" + std::to_string(i) + "\": 1}\n";
  write("a/evaluations.jsonl", text + R"({"node": "likelihood", "step": 3, "loss": 1})");
  const RunFacts facts(folder_ / "a");
  EXPECT_EQ(facts.scores.size(), 120U);
  EXPECT_EQ(facts.scores.at("knn accuracy").count(), 1);
  EXPECT_EQ(facts.scores.at("knn accuracy_5").count(), 1);
  EXPECT_FALSE(facts.scores.contains("knn neighbours"));
  EXPECT_EQ(facts.scores.at("likelihood loss").count(), 3) << "a curve that began goes on";
  EXPECT_EQ(facts.scores.at("likelihood loss").last(), 1);
  EXPECT_EQ(facts.evaluations.size(), 3U) << "without the node of the long name";
}

TEST_F(Runs, AreListedInFewWords) {
  write("a/pipeline.resolved.json", "{\"about\": \"" + std::string(1'000'000, 'x') + "\"}");
  std::string text;
  for (int i = 0; i < 90; ++i) text += R"({"node": "n)" + std::to_string(i) + R"(", "step": 1, "accuracy": 0.5})" + "\n";
  write("a/evaluations.jsonl", text);
  const auto found = RunList(folder_).list()["runs"][0];
  EXPECT_EQ(found["evaluations"].size(), 24U);
  EXPECT_EQ(found["about"], std::string(2000, 'x') + " ...");
}

TEST_F(Runs, AreKeptWithinABound) {
  RunList list(folder_);
  for (int i = 0; i < 6; ++i) write("r" + std::to_string(i) + "/pipeline.resolved.json", "{\"about\": \"" + std::string(7 << 20, 'x') + "\"}");
  std::vector<std::weak_ptr<const RunFacts>> facts;
  for (int i = 0; i < 6; ++i) facts.emplace_back(list.facts(folder_ / ("r" + std::to_string(i))));
  const auto kept = std::count_if(facts.begin(), facts.end(), [](const auto& one) { return !one.expired(); });
  EXPECT_EQ(kept, 4);
  EXPECT_FALSE(facts.back().expired());
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
