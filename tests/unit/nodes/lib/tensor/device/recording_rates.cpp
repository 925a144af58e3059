// How many groups of a run are played: the recorder's decisions on the shapes of Bootleg's masks.
#include <gtest/gtest.h>
#include <set>
#include <string>
#include <vector>

#include "graph/run/recording_policy.h"
#include "nodes/lib/host/mask/multi_block.h"
#include "nodes/lib/tensor/device/recording.h"

namespace flowrun {
namespace {

/// The shape that a group's masks give to its work.
std::string shape_of_group(const mask::MultiBlock& options, int64_t images, uint64_t group) {
  static mask::BlockMasks masks;
  mask::draw_masks(options, Rng(0, hash_text("mask"), 0, group), images, masks);
  return std::to_string(masks.visible_count) + " " + std::to_string(masks.region_size);
}

struct Rates {
  size_t shapes = 0;
  int recorded = 0;
  std::vector<double> played;  // shares after 400, 2,000 and 4,000 groups
};

/// A pass that records counts as not played.
Rates rates(const mask::MultiBlock& options, int64_t images) {
  struct Default final : recording::Recorder {
    void begin() override {}
    std::unique_ptr<Recording> end() override { return nullptr; }
    bool works_meanwhile() const override { return false; }
  };
  RecordingPolicy policy(Default().capacity());
  Rates out;
  std::set<std::string> shapes;
  int played = 0;
  for (int group = 1; group <= 4000; ++group) {
    const std::string shape = shape_of_group(options, images, static_cast<uint64_t>(group));
    shapes.insert(shape);
    const RecordingPolicy::Choice choice = policy.next(shape).choice;
    if (choice == RecordingPolicy::Choice::record) policy.recorded(shape), ++out.recorded;
    if (choice == RecordingPolicy::Choice::play) ++played;
    if (group == 400 || group == 2000 || group == 4000) out.played.push_back(played / static_cast<double>(group));
  }
  out.shapes = shapes.size();
  return out;
}

void print(const char* what, const Rates& rates) {
  std::printf("%-28s %3zu shapes, recorded %3d, played %.1f / %.1f / %.1f %% after 400 / 2000 / 4000 groups\n", what, rates.shapes, rates.recorded,
              100 * rates.played[0], 100 * rates.played[1], 100 * rates.played[2]);
}

TEST(Recorder, PlaysNearlyAllGroupsOfPretrainJson) {
  const Rates pretrain = rates({}, 256);
  print("224/16, groups of 256", pretrain);
  EXPECT_GT(pretrain.shapes, 90u) << "masks of 14 x 14 patches have about 111 shapes";
  EXPECT_GE(pretrain.played[2], 0.93);
  EXPECT_LE(pretrain.recorded, static_cast<int>(pretrain.shapes)) << "none is recorded again";
}

TEST(Recorder, PlaysNearlyAllGroupsOfCifar10) {
  const mask::MultiBlock options{.grid = 8};
  for (const int64_t images : {128, 512}) {
    const Rates cifar = rates(options, images);
    print(images == 128 ? "CIFAR-10, groups of 128" : "CIFAR-10, groups of 512", cifar);
    EXPECT_GE(cifar.played[2], 0.98);
  }
}

}  // namespace
}  // namespace flowrun
