#include "tools/app/load/check.h"

#include <gmock/gmock.h>

#include "support/app_files.h"
#include "tools/app/load/diff.h"

namespace flowrun::app {
namespace {

using io::test::put_file;
using test::data_pipeline;

TEST(Check, GivesEachFaultWithItsPlaceAndItsNode) {
  const io::test::TemporaryDirectory dir;
  put_file(dir / "p.json", R"({ "nodes": {
  "files": { "type": "source.synthetic", "images": 32, "sise": 24 } } })");
  const auto found = check({.file = (dir / "p.json").string()});
  ASSERT_GE(found["faults"].size(), 1);
  EXPECT_EQ(found["faults"][0]["line"], 2);
  EXPECT_EQ(found["faults"][0]["node"], "files");
  EXPECT_FALSE(found.contains("nodes"));
}

TEST(Check, CountsWhereThereIsNoFault) {
  const io::test::TemporaryDirectory dir;
  put_file(dir / "p.json", data_pipeline().dump());
  const auto found = check({.file = (dir / "p.json").string()});
  EXPECT_TRUE(found["faults"].empty());
  EXPECT_EQ(found["nodes"], 4);
}

TEST(Diff, NamesTheNodesWhoseValuesStay) {
  const io::test::TemporaryDirectory dir;
  put_file(dir / "p.json", data_pipeline().dump());
  const std::string file = (dir / "p.json").string();
  const auto found = diff({.file = file}, {.file = file, .sets = {"batch.group=8"}});
  ASSERT_EQ(found["changes"].size(), 1);
  EXPECT_EQ(found["changes"][0]["path"], "nodes.batch.group");
  EXPECT_EQ(found["same_values"], nlohmann::ordered_json({"files", "decode"}));
}

}  // namespace
}  // namespace flowrun::app
