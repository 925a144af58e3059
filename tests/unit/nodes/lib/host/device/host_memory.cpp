#include "nodes/lib/host/device/host_memory.h"

#include <cstdlib>
#include <gtest/gtest.h>
#include <memory>
#include <set>

namespace flowrun {
namespace {

std::set<void*>& blocks() {
  static std::set<void*> blocks;
  return blocks;
}

const PinnedMemory counted{[](size_t bytes) {
                             void* const memory = std::malloc(bytes);
                             blocks().insert(memory);
                             return memory;
                           },
                           [](void* memory) {
                             if (blocks().erase(memory) == 0) return false;
                             std::free(memory);
                             return true;
                           }};

TEST(HostMemory, BatchesLieWhereTheDeviceCanReadThem) {
  auto before = std::make_unique<BatchBytes>(100);
  pinned_memory() = &counted;
  {
    BatchBytes batch;
    batch.resize(1000);
    EXPECT_EQ(blocks().count(batch.data()), 1U);
    BatchBytes moved = std::move(batch);
    EXPECT_EQ(blocks().size(), 1U);
    const BatchBytes copy = moved;
    EXPECT_EQ(blocks().size(), 2U);
    before.reset();  // it has other memory, and goes back there
    EXPECT_EQ(blocks().size(), 2U);
  }
  EXPECT_TRUE(blocks().empty());
  pinned_memory() = nullptr;
}

}  // namespace
}  // namespace flowrun
