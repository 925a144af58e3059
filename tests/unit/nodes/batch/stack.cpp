#include <gmock/gmock.h>

#include "nodes/lib/host/types/host_types.h"
#include "nodes/lib/host/types/matches.h"
#include "nodes/lib/host/types/sample_ids.h"
#include "support/run_node.h"

namespace flowrun {
namespace {

const RunInfo kRun;

struct Stacked {
  ImageBatch images;
  LabelBatch labels;
  LabelMapBatch maps;
  MatchBatch matches;
  SampleIds ids;
};

/// Sample 40 + index.
void fold(Node& node, Image& image, Label& label, Stacked& out, int64_t index) {
  void* below[] = {&image, &label};
  void* own[] = {&out.images, &out.labels, &out.maps, &out.matches, &out.ids};
  const PortSlot slots[] = {{0, true}, {1, true}, {-1, true}, {-1, true}, {0, false}, {1, false}, {2, false}, {3, false}, {4, false}};
  uint64_t ledger = 0;
  node.fold(Call{own, below, slots}, FoldContext{kRun, index, 2, 1, 40 + static_cast<uint64_t>(index), 1, LedgerEntry(&ledger)});
}

TEST(Stack, WritesTheLabelOfEachViewOrThePicturesForAllAndItsNumber) {
  const auto node = test::make_node("batch.stack", R"({"size": 2})");
  Image image;
  image.pixels.reshape(4, 4, 3, 3);
  Stacked out;
  Label of_views{-1, {5, 6, 7}}, of_picture{9, {}}, wrong{1, {1, 2}};
  fold(*node, image, of_picture, out, 1);
  fold(*node, image, of_views, out, 0);
  EXPECT_THAT(out.labels.values, testing::ElementsAre(5, 6, 7, 9, 9, 9));
  EXPECT_THAT(out.ids.values, testing::ElementsAre(40, 40, 40, 41, 41, 41));
  EXPECT_THROW(fold(*node, image, wrong, out, 0), FatalNodeError);
}

}  // namespace
}  // namespace flowrun
