#include "tools/app/sweep/found.h"

#include <gmock/gmock.h>

#include "support/app_files.h"
#include "tools/app/sweep/sha256.h"

namespace flowrun::app {
namespace {

using io::test::put_file;

TEST(Sha256, EqualsTheExamplesOfFips180) {
  EXPECT_EQ(sha256(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(sha256("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(sha256("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"), "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
  EXPECT_EQ(sha256(std::string(1'000'000, 'a')), "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

TEST(Cells, CountWhileTheFilesAreTheSame) {
  const io::test::TemporaryDirectory dir;
  const std::string base = R"({"parts": {"eye": "eye.json"}, "nodes": {"e": {"use": "eye"}}})";
  put_file(dir / "base.json", base);
  put_file(dir / "eye.json", "{}");
  put_file(dir / "p.json", R"({"extends": "base.json"})");
  // The texts in the order in which they are met, with a zero between them.
  const std::string texts = std::string(R"({"extends": "base.json"})") + '\0' + base + '\0' + "{}";
  EXPECT_EQ(sources_hash(dir / "p.json"), sha256(texts).substr(0, 16));

  const Variant run{.name = "p-seed2", .pipeline = {.file = (dir / "p.json").string(), .sets = {"a.b=1", "seed=2"}}, .variant = "p", .seed = 2};
  Found found;
  found.status = "done";
  found.curves["knn"] = {{0, 0.25}, {8, 0.5}};
  found.metrics = {{"loss", 2.5}, {"knn.accuracy", 0.5}, {"knn.accuracy_k1", 0.375}};
  found.steps = 8;
  found.seconds_per_step = 0.125;
  Cells(dir / "cells.jsonl").add(run, found);
  EXPECT_EQ(io::test::get_file(dir / "cells.jsonl"),
            R"({"pipeline":"p","seed":2,"set":["a.b=1"],"sources":")" + sources_hash(dir / "p.json") +
                R"(","curves":{"knn":[[0,0.25],[8,0.5]]},"metrics":{"loss":2.5,"knn.accuracy":0.5,"knn.accuracy_k1":0.375},"step":0.125,"steps":8})" +
                "\n");

  bool other = true;
  const auto again = Cells(dir / "cells.jsonl").find(run, other);
  ASSERT_TRUE(again);
  EXPECT_FALSE(other);
  EXPECT_TRUE(again->is_done());
  EXPECT_EQ(again->curves, found.curves);
  EXPECT_EQ(again->metrics, found.metrics);
  Variant changed = run;
  changed.seed = 3;
  EXPECT_FALSE(Cells(dir / "cells.jsonl").find(changed, other));
  EXPECT_FALSE(other);
  put_file(dir / "eye.json", "{ }");
  EXPECT_FALSE(Cells(dir / "cells.jsonl").find(run, other));
  EXPECT_TRUE(other);
}

TEST(Cells, LinesWithoutMetricsHaveTheirLastAccuracies) {
  const io::test::TemporaryDirectory dir;
  put_file(dir / "p.json", "{}");
  put_file(dir / "cells.jsonl", R"({"pipeline":"p","seed":0,"set":[],"sources":")" + sources_hash(dir / "p.json") +
                                    R"(","curves":{"knn":[[0,0.25],[8,0.5]]},"step":0.125,"steps":8})" + "\n");
  bool other = true;
  const auto found =
      Cells(dir / "cells.jsonl").find({.name = "p-seed0", .pipeline = {.file = (dir / "p.json").string()}, .variant = "p", .seed = 0}, other);
  ASSERT_TRUE(found);
  EXPECT_THAT(found->metrics, testing::ElementsAre(testing::Pair("knn.accuracy", 0.5)));
}

TEST(Cells, KnowWhatAPipelineExtends) {
  const io::test::TemporaryDirectory dir;
  put_file(dir / "eye.json", "{}");
  const std::string base = R"({"parts": {"eye": "eye.json"}, "nodes": {"e": {"use" : "eye"}, "f": {"words": "\"use\": \"ear\""}}})";
  put_file(dir / "base.json", base);
  const std::string sweep = R"({"extends": "base.json", "base": "other.json"})";
  put_file(dir / "p.json", sweep);
  EXPECT_EQ(sources_hash(dir / "p.json"), sha256(sweep + '\0' + base + '\0' + "{}").substr(0, 16));
}

TEST(Found, ALastLossThatIsNotFiniteIsNone) {
  const io::test::TemporaryDirectory dir;
  put_file(dir / "result.json", R"({"status": "done", "steps": 2})");
  put_file(dir / "metrics.jsonl", "{\"step\": 1, \"loss\": 0.5}\n{\"step\": 2, \"loss\": 0.25}\n{\"step\": 2, \"lr\": 1}\n");
  EXPECT_EQ(*read_found(dir.path()).metric("loss"), 0.25);
  put_file(dir / "metrics.jsonl", "{\"step\": 1, \"loss\": 0.5}\n{\"step\": 2, \"loss\": null}\n");
  EXPECT_EQ(read_found(dir.path()).metric("loss"), nullptr);
}

}  // namespace
}  // namespace flowrun::app
