#include "tools/app/sweep/sweep.h"

#include <gmock/gmock.h>

#include "support/app_files.h"
#include "tools/app/exit.h"

namespace flowrun::app {
namespace {

using io::test::put_file;
using test::data_pipeline;
using test::json_of;
using testing::ElementsAre;

/// Runs variants in this process.
class Here : public VariantRunner {
 public:
  Here(const SweepArgs& args, Caller& caller) : args_(args), caller_(caller) {}
  void begin() override {}
  bool stopped() const override { return names.size() == stop_after; }
  int run(const std::vector<Variant>& variants, const std::filesystem::path& out) override {
    names.push_back(variants[0].name);
    return app::run(variant_args(variants[0], out / variants[0].name, args_), caller_);
  }

  std::vector<std::string> names;
  size_t stop_after = SIZE_MAX;

 private:
  const SweepArgs& args_;
  Caller& caller_;
};

class Lines : public Caller {
 public:
  void say(const std::string& line) override { lines.push_back(line); }
  std::vector<std::string> lines;
};

class Sweep : public testing::Test {
 protected:
  Sweep() {
    put_file(dir_ / "p.json", data_pipeline().dump());
    put_file(dir_ / "s.json", R"({ "base": "p.json", "variants": { "long": {}, "short": { "run.steps": 2 } } })");
    args_ = {.files = {(dir_ / "s.json").string()}, .out = (dir_ / "out").string()};
  }

  io::test::TemporaryDirectory dir_;
  SweepArgs args_;
  Lines lines_;
};

TEST_F(Sweep, RunsEachVariantAndGivesATable) {
  Here here(args_, lines_);
  const Swept swept = sweep(args_, lines_, here);
  EXPECT_EQ(swept.status, 0);
  EXPECT_THAT(here.names, ElementsAre("long", "short"));
  EXPECT_THAT(lines_.lines, ElementsAre("variant 1 of 2: long", "variant 2 of 2: short"));
  ASSERT_EQ(swept.found["runs"].size(), 2);
  EXPECT_EQ(swept.found["runs"][0]["steps"], 4);
  EXPECT_EQ(swept.found["runs"][1]["steps"], 2);
  EXPECT_EQ(json_of(dir_ / "out/sweep.json"), swept.found);
  EXPECT_EQ(io::test::get_file(dir_ / "out/sweep.md"), swept.table);
}

TEST_F(Sweep, GoesOnAfterAStop) {
  Here first(args_, lines_);
  first.stop_after = 1;
  EXPECT_EQ(sweep(args_, lines_, first).status, exit_stopped);
  lines_.lines.clear();
  Here second(args_, lines_);
  EXPECT_EQ(sweep(args_, lines_, second).status, 0);
  EXPECT_THAT(second.names, ElementsAre("short"));
  EXPECT_THAT(lines_.lines, ElementsAre("long is done already", "variant 1 of 1: short"));
}

}  // namespace
}  // namespace flowrun::app
