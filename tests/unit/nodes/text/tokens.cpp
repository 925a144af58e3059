#include <gmock/gmock.h>
#include <set>

#include "nodes/lib/host/types/text_types.h"
#include "support/run_node.h"

namespace flowrun {
namespace {

const RunInfo kRun;

TEST(Tokens, DrawOneOfSeveralCaptionsByTheSample) {
  const auto node = test::make_node("text.tokens", R"({"context": 4})");
  node->open({kRun, "words", 1});
  Caption caption{{"a", "b", "c"}};
  TextTokens row;
  std::set<int64_t> drawn;
  std::vector<int64_t> first;
  for (uint64_t sample = 0; sample < 30; ++sample) {
    test::run_sample(*node, {&caption, &row}, sample);
    drawn.insert(row.ids[1]), first.push_back(row.ids[1]);
  }
  EXPECT_THAT(drawn, testing::ElementsAre('a', 'b', 'c'));
  for (uint64_t sample = 30; sample-- > 0;) {
    test::run_sample(*node, {&caption, &row}, sample);
    EXPECT_EQ(row.ids[1], first[sample]);
  }
}

TEST(Tokens, SayWhatTheyCut) {
  Caption caption{{"abc"}};
  TextTokens row;
  const auto refusing = test::make_node("text.tokens", R"({"context": 4, "longer": "error"})");
  refusing->open({kRun, "words", 1});
  EXPECT_THROW(test::run_sample(*refusing, {&caption, &row}), NodeError);
  for (const auto& [longer, said] : {std::pair{"listed", "the caption takes 5 tokens, and context is 4: it was cut"}, {"cut", ""}}) {
    const auto node = test::make_node("text.tokens", std::string(R"({"context": 4, "longer": ")") + longer + "\"}");
    node->open({kRun, "words", 1});
    void* objects[] = {&caption, &row};
    const PortSlot slots[] = {{0, false}, {1, false}};
    std::string remark;
    uint64_t ledger = 0;
    node->run(Call{objects, nullptr, slots}, SampleContext{0, 1, 0, 0, 0, LedgerEntry(&ledger), &remark});
    EXPECT_EQ(remark, said);
    EXPECT_THAT(row.ids, testing::ElementsAre(256, 'a', 'b', 257));
  }
  caption.texts.clear();
  EXPECT_THROW(test::run_sample(*refusing, {&caption, &row}), NodeError);
}

}  // namespace
}  // namespace flowrun
