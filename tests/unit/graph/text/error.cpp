#include "graph/text/error.h"

#include <gtest/gtest.h>

#include "graph/run/bind.h"

namespace flowrun {
namespace {

TEST(Diagnostics, ShowLineAndCaret) {
  const auto source = std::make_shared<Source>(Source{"a.json",
                                                      "first\n\tse\xc3\xbc"
                                                      "cond x\nlast"});
  Diagnostics faults;
  faults.error({source, 15, 1}, "here", "fix it\nor not");
  faults.error({source, 7, 7}, "word");
  faults.error({source, 18, 1}, "in the last line");
  faults.error({source, 9999, 5}, "behind the end");
  faults.error({}, "nowhere");
  EXPECT_EQ(faults.render(),
            "a.json:2:2: error: word\n\tse\xc3\xbc"
            "cond x\n\t^^^^^^\n"
            "a.json:2:10: error: here\n\tse\xc3\xbc"
            "cond x\n\t       ^\n  fix it\n  or not\n"
            "a.json:3:1: error: in the last line\nlast\n^\n"
            "a.json:3:5: error: behind the end\nlast\n    ^\n"
            "error: nowhere\n5 errors; nothing was run");
}

TEST(Nearest, SuggestsOnlyWhatCanBeMeant) {
  const std::vector<std::string> names = {"ratio", "patch", "regions"};
  EXPECT_EQ(nearest("ration", names), "ratio");
  EXPECT_EQ(nearest("region", names), "regions");
  EXPECT_EQ(nearest("ptach", names), "patch");
  EXPECT_EQ(nearest("depth", names), "");
  EXPECT_EQ(nearest("", names), "");
  EXPECT_EQ(did_you_mean("rato", names), "did you mean \"ratio\"? ");
  EXPECT_EQ(did_you_mean("zzz", names), "");
}

TEST(Errors, OfLibTorchLeaveTheirStackOut) {
  const std::string stack = "\nException raised from check at /pytorch/a.cpp:1 (most recent call first):\nframe #0: at::mm";
  EXPECT_EQ(message_of(std::runtime_error("shapes differ: 2x24 and 48x4" + stack)), "shapes differ: 2x24 and 48x4");
  EXPECT_EQ(message_of(std::runtime_error("two\nlines")), "two\nlines");
  try {
    guard("knn", [&] { throw std::runtime_error("no" + stack); });
    FAIL();
  } catch (const RunError& error) {
    EXPECT_STREQ(error.what(), "knn: no");
  }
}

}  // namespace
}  // namespace flowrun
