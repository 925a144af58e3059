#include "io/workers.h"

#include <gmock/gmock.h>
#include <random>
#include <thread>

#include "io/error.h"
#include "support/io_files.h"

namespace flowrun::io {
namespace {

/// Takes longer for some than for others.
void delay(size_t i) {
  for (size_t turns = i * 7919 % 13 * 40; turns > 0; --turns) std::this_thread::yield();
}

TEST(Workers, EachIsCalledOnce) {
  for (const int threads : {1, 2, 7}) {
    std::vector<std::atomic<int>> calls(100);
    for_each_parallel(calls.size(), threads, [&](size_t i) { delay(i), ++calls[i]; });
    EXPECT_TRUE(std::all_of(calls.begin(), calls.end(), [](const auto& count) { return count == 1; }));
  }
  for_each_parallel(0, 3, [](size_t) { FAIL(); });
}

TEST(Workers, TheFirstErrorIsTheOneThatIsSeen) {
  for (int round = 0; round < 20; ++round) {
    EXPECT_EQ(test::message_of<Error>([&] {
                for_each_parallel(50, 4, [&](size_t i) {
                  delay(i + static_cast<size_t>(round));
                  if (i >= 20) throw Error(std::to_string(i));
                });
              }),
              "20");
  }
}

TEST(WorkersInOrder, TakesAndPutsInOrder) {
  for (const int threads : {1, 2, 8}) {
    std::vector<size_t> taken, put;
    std::atomic<int> at_work = 0;
    for_each_in_order<size_t>(
        5, 200, threads,
        [&](size_t i, size_t& item) {
          taken.push_back(i);
          item = i;
        },
        [&](size_t i, size_t& item) {
          EXPECT_LE(++at_work, threads);
          delay(i), item *= 2, --at_work;
        },
        [&](size_t i, size_t& item) {
          EXPECT_EQ(item, 2 * i);
          put.push_back(i);
        });
    ASSERT_EQ(put.size(), 195u);
    for (size_t i = 0; i < put.size(); ++i) EXPECT_EQ(std::pair(taken[i], put[i]), std::pair(i + 5, i + 5));
  }
}

TEST(WorkersInOrder, AllBelowAnErrorIsPut) {
  for (const bool while_taking : {false, true}) {
    for (int round = 0; round < 20; ++round) {
      size_t put = 0;
      EXPECT_EQ(test::message_of<Error>([&] {
                  const auto fault = [&](size_t i, bool taking) {
                    if (taking == while_taking && i >= 30 && i % 3 == 0) throw Error(std::to_string(i));
                  };
                  for_each_in_order<int>(
                      0, 100, 4, [&](size_t i, int&) { fault(i, true); },
                      [&](size_t i, int&) { delay(i + static_cast<size_t>(round)), fault(i, false); }, [&](size_t i, int&) { EXPECT_EQ(i, put++); });
                }),
                "30");
      EXPECT_EQ(put, 30u);
    }
  }
}

TEST(WorkersInOrder, WhatCannotBePutStopsAll) {
  size_t put = 0;
  EXPECT_EQ(test::message_of<Error>([&] {
              for_each_in_order<int>(
                  0, 1000, 4, [](size_t, int&) {}, [](size_t i, int&) { delay(i); },
                  [&](size_t i, int&) {
                    if (i == 10) throw Error("full");
                    ++put;
                  });
            }),
            "full");
  EXPECT_EQ(put, 10u);
}

}  // namespace
}  // namespace flowrun::io
