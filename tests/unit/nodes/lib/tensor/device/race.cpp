// The host's accesses to a batch that the device has not copied yet.
#include <ATen/ops/zeros.h>
#include <cstring>
#include <gtest/gtest.h>

#include "graph/node.h"
#include "nodes/lib/host/device/cuda_module.h"
#include "nodes/lib/host/types/host_types.h"
#include "nodes/lib/tensor/device/send.h"
#include "nodes/lib/tensor/device/side_stream.h"
#include "nodes/lib/tensor/device/torch_device.h"
#include "nodes/lib/tensor/model/vit.h"
#include "support/fake_device.h"

namespace flowrun {
namespace {

using test::diary, test::fake_device;

constexpr int64_t images = 4;
constexpr int side = 8;

/// Group `number` in the record's batch, as batch.stack fills it.
void fill(ImageBatch& batch, uint8_t number) {
  const std::vector<uint8_t> pixels(side * side * 3, number);
  for (int64_t i = 0; i < images; ++i) std::memcpy(batch.place(i, images, {pixels.data(), side, side, 3}), pixels.data(), pixels.size());
  batch.images = images;
}

Tensor upload(const ImageBatch& batch) {
  CopyStream copies(fake_device());
  Tensor there = send_batch(batch.pixels.data(), {batch.images, side, side, 3}, at::kByte, fake_device());
  copies.end({there});
  return there;
}

void expect_all(const Tensor& there, uint8_t number) {
  const Tensor here = there.to(at::kCPU);
  EXPECT_EQ(here.min().item<int>(), number);
  EXPECT_EQ(here.max().item<int>(), number);
}

/// The record takes the next group as soon as the work on the last one is submitted, not done.
TEST(Race, ABatchIsNotOverwrittenBeforeItIsCopied) {
  const test::FakePinnedMemory pinned;
  diary() = {};
  diary().copies_later = true;
  ImageBatch batch;
  std::vector<Tensor> there;
  for (uint8_t group = 1; group <= 5; ++group) {
    fill(batch, group);
    there.push_back(upload(batch));
    type_ops<ImageBatch>().release(&batch);  // by its last reader
  }
  test::do_copies();
  for (uint8_t group = 1; group <= 5; ++group) expect_all(there[group - 1u], group);
  EXPECT_EQ(test::host_waits(), 5) << "only this test's looks at the values";
  diary() = {};
}

TEST(Race, MemoryIsUsedAgainOnceItIsCopied) {
  const test::FakePinnedMemory pinned;
  diary() = {};
  diary().copies_later = true;
  ImageBatch batch;
  fill(batch, 1);
  const uint8_t* const first = batch.pixels.data();
  const Tensor there = upload(batch);
  batch.release();
  fill(batch, 2);
  EXPECT_NE(batch.pixels.data(), first) << "the device has not read it yet";
  test::do_copies();
  ImageBatch next;
  fill(next, 3);
  EXPECT_EQ(next.pixels.data(), first);
  expect_all(there, 1);
  diary() = {};
}

TEST(Race, OnTheCpuABatchKeepsItsMemory) {
  ImageBatch batch;
  fill(batch, 1);
  const uint8_t* const memory = batch.pixels.data();
  batch.release();
  fill(batch, 2);
  EXPECT_EQ(batch.pixels.data(), memory);
}

/// Groups of one run have pictures of one size, whether the memory was given back or not.
TEST(Race, ABatchKeepsItsShape) {
  const test::FakePinnedMemory pinned;
  ImageBatch batch;
  fill(batch, 1);
  batch.release();
  const std::vector<uint8_t> other(3, 0);
  EXPECT_EQ(batch.place(0, images, {other.data(), 1, 1, 3}), nullptr);
}

TEST(CopyStream, TheMainStreamWaitsForTheCopiesAlone) {
  const test::FakePinnedMemory pinned;
  diary() = {};
  ImageBatch batch;
  fill(batch, 1);
  upload(batch);
  EXPECT_EQ(diary().lines, (std::vector<std::string>{"side copies from the host", "side records 1", "main waits for 1", "4 used on main"}));
  EXPECT_EQ(diary().stream, 0);
}

TEST(Send, NothingWaitsForSmallThings) {
  const test::FakePinnedMemory pinned;
  diary() = {};
  diary().copies_later = true;
  Tensor keep = at::zeros({6});
  const Tensor there = send(keep, fake_device());
  keep.fill_(1);  // it may be written to at once
  test::do_copies();
  EXPECT_EQ(test::host_waits(), 0);
  EXPECT_EQ(there.to(at::kCPU).sum().item<float>(), 0);
  diary() = {};
}

TEST(DeviceOfRank, IsItsOwnGpu) {
  RunInfo run;
  run.device = "cuda";
  EXPECT_EQ(torch_device(run), at::Device(at::kCUDA, 0));
  gpu_of_rank() = 3;
  EXPECT_EQ(torch_device(run), at::Device(at::kCUDA, 3));
  gpu_of_rank() = 0;
  run.device = "cpu";
  EXPECT_EQ(torch_device(run), at::Device(at::kCPU));
}

}  // namespace
}  // namespace flowrun
