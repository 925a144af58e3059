#include <gmock/gmock.h>

#include "nodes/lib/host/types/host_types.h"
#include "nodes/lib/host/types/matches.h"
#include "support/run_node.h"

namespace flowrun {
namespace {

const RunInfo kRun;

void fold(Node& node, Image& image, Label& label, ImageBatch& images, LabelBatch& labels, LabelMapBatch& maps, int64_t index) {
  void* below[] = {&image, &label};
  MatchBatch matches;
  void* own[] = {&images, &labels, &maps, &matches};
  const PortSlot slots[] = {{0, true}, {1, true}, {-1, true}, {-1, true}, {0, false}, {1, false}, {2, false}, {3, false}};
  uint64_t ledger = 0;
  node.fold(Call{own, below, slots}, FoldContext{kRun, index, 2, 1, 0, 1, LedgerEntry(&ledger)});
}

TEST(Stack, WritesTheLabelOfEachViewOrThePicturesForAll) {
  const auto node = test::make_node("batch.stack", R"({"size": 2})");
  Image image;
  image.pixels.reshape(4, 4, 3, 3);
  ImageBatch images;
  LabelBatch labels;
  LabelMapBatch maps;
  Label of_views{-1, {5, 6, 7}}, of_picture{9, {}}, wrong{1, {1, 2}};
  fold(*node, image, of_picture, images, labels, maps, 1);
  fold(*node, image, of_views, images, labels, maps, 0);
  EXPECT_THAT(labels.values, testing::ElementsAre(5, 6, 7, 9, 9, 9));
  EXPECT_THROW(fold(*node, image, wrong, images, labels, maps, 0), FatalNodeError);
}

}  // namespace
}  // namespace flowrun
