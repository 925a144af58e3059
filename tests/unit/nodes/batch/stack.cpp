#include <gmock/gmock.h>

#include "nodes/lib/host/types/faults.h"
#include "nodes/lib/host/types/host_types.h"
#include "nodes/lib/host/types/matches.h"
#include "nodes/lib/host/types/sample_ids.h"
#include "nodes/lib/host/types/text_types.h"
#include "support/run_node.h"

namespace flowrun {
namespace {

const RunInfo kRun;

/// What a stack of two makes.
struct Stacked {
  ImageBatch images;
  LabelBatch labels;
  LabelMapBatch maps;
  MatchBatch matches;
  SampleIds ids;
  TextBatch texts;
  Faults faults;
  Fault fault;

  /// Of sample 40 + index.
  uint64_t fold(Node& node, Image& image, Label& label, TextTokens& text, int64_t index) {
    void* below[] = {&image, &label, &text, &fault};
    void* own[] = {&images, &labels, &maps, &matches, &ids, &texts, &faults};
    const PortSlot slots[] = {{0, true},  {1, true},  {-1, true}, {-1, true}, {2, true},  {3, true}, {0, false},
                              {1, false}, {2, false}, {3, false}, {4, false}, {5, false}, {6, false}};
    uint64_t ledger = 0;
    node.fold(Call{own, below, slots}, FoldContext{kRun, index, 2, 1, 40 + static_cast<uint64_t>(index), 1, LedgerEntry(&ledger)});
    return ledger;
  }
};

TEST(Stack, WritesTheLabelOfEachViewOrThePicturesForAllAndItsNumber) {
  const auto node = test::make_node("batch.stack", R"({"size": 2})");
  Image image;
  image.pixels.reshape(4, 4, 3, 3);
  Stacked out;
  Label of_views{-1, {5, 6, 7}}, of_picture{9, {}}, wrong{1, {1, 2}};
  TextTokens text;
  out.fold(*node, image, of_picture, text, 1);
  out.fold(*node, image, of_views, text, 0);
  EXPECT_THAT(out.labels.values, testing::ElementsAre(5, 6, 7, 9, 9, 9));
  EXPECT_THAT(out.ids.values, testing::ElementsAre(40, 40, 40, 41, 41, 41));
  EXPECT_THROW(out.fold(*node, image, wrong, text, 0), FatalNodeError);
}

TEST(Stack, WritesOneTextOfEachPicture) {
  const auto node = test::make_node("batch.stack", R"({"size": 2})");
  Image image;
  image.pixels.reshape(4, 4, 3, 2);
  Stacked out;
  Label label;
  TextTokens first{{256, 1, 257}, 2}, second{{256, 257, 0}, 1}, longer{{256, 1, 2, 257}, 3};
  const uint64_t of_second = out.fold(*node, image, label, second, 1), of_first = out.fold(*node, image, label, first, 0);
  EXPECT_THAT(out.texts.ids, testing::ElementsAre(256, 1, 257, 256, 257, 0));
  EXPECT_THAT(out.texts.ends, testing::ElementsAre(2, 1));
  EXPECT_NE(of_first, of_second) << "texts enter the ledger";
  EXPECT_THROW(out.fold(*node, image, label, longer, 1), FatalNodeError);
}

TEST(Stack, KeepsWhyAPictureIsBlank) {
  const auto node = test::make_node("batch.stack", R"({"size": 2})");
  Image image;
  image.pixels.reshape(4, 4, 3);
  Stacked out;
  Label label;
  TextTokens text{{256, 257}, 1};
  out.fault.why = "torn";
  out.fold(*node, image, label, text, 1);
  out.fault.why = "";
  out.fold(*node, image, label, text, 0);
  EXPECT_THAT(out.faults.why, testing::ElementsAre("", "torn"));
  out.fold(*node, image, label, text, 1);
  EXPECT_THAT(out.faults.why, testing::ElementsAre("", "")) << "of the next group";
}

}  // namespace
}  // namespace flowrun
