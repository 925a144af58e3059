// Sums over ranks that are threads of this process, connected over the loopback.
#include <arpa/inet.h>
#include <cstdlib>
#include <dlfcn.h>
#include <gtest/gtest.h>
#include <latch>
#include <limits>
#include <netdb.h>
#include <thread>

#include "graph/contract/ranks.h"
#include "support/free_port.h"

namespace flowrun {
namespace {

/// Calls work(ranks) on each rank; what each one's RankError said.
template <class Work>
std::vector<std::string> on_all(int world, double timeout, Work&& work) {
  setenv("GLOO_SOCKET_IFNAME", "lo", 0);
  setenv("TORCH_FR_BUFFER_SIZE", "0", 0);  // c10d's flight recorder expects one rank in a process: it isn't safe with more
  const int port = test::free_port();
  std::vector<std::string> errors(static_cast<size_t>(world));
  std::vector<std::thread> threads;
  std::latch ended(world);
  for (int rank = 0; rank < world; ++rank) {
    threads.emplace_back([&, rank] {
      Launch launch;
      launch.rank = rank, launch.world = world;
      launch.host = "127.0.0.1", launch.port = port, launch.by = "the test";
      launch.hosts_store = rank == 0, launch.timeout = timeout;
      std::unique_ptr<Ranks> ranks;
      try {
        ranks = join_ranks(launch);
        work(*ranks);
      } catch (const RankError& error) {
        errors[static_cast<size_t>(rank)] = error.what();
      }
      ended.arrive_and_wait();  // rank 0 has the store
    });
  }
  for (std::thread& thread : threads) thread.join();
  return errors;
}

TEST(SumOverRanks, IsExactOnAnyWorld) {
  for (const int world : {2, 3, 4, 5, 6, 7, 8, 13}) {
    std::vector<std::vector<std::vector<int64_t>>> found(static_cast<size_t>(world));
    const auto errors = on_all(world, 60, [&](Ranks& ranks) {
      const int64_t rank = ranks.launch().rank;
      for (int64_t call = 0; call < 50; ++call) {
        // The last grows, so that two calls that are mixed up don't fit; the second wraps around.
        std::vector<int64_t> values = {rank * rank + call, std::numeric_limits<int64_t>::max() - rank, 1};
        values.resize(static_cast<size_t>(3 + call % 5), int64_t{1} << rank);
        ranks.sum(values, "the test");
        found[static_cast<size_t>(rank)].push_back(values);
      }
      // Collectives go between.
      const auto words = ranks.gather("rank " + std::to_string(rank), "the test");
      for (size_t i = 0; i < words.size(); ++i) EXPECT_EQ(words[i], "rank " + std::to_string(i));
      std::vector<int64_t> one = {1};
      ranks.sum(one, "the test");
      EXPECT_EQ(one[0], world);
    });
    for (const std::string& error : errors) EXPECT_EQ(error, "");
    for (int64_t call = 0; call < 50; ++call) {
      int64_t first = 0, second = 0;
      for (int64_t rank = 0; rank < world; ++rank) {
        first += rank * rank + call;
        second = static_cast<int64_t>(static_cast<uint64_t>(second) + static_cast<uint64_t>(std::numeric_limits<int64_t>::max() - rank));
      }
      std::vector<int64_t> wanted = {first, second, world};
      wanted.resize(static_cast<size_t>(3 + call % 5), (int64_t{1} << world) - 1);
      for (const auto& rank : found) ASSERT_EQ(rank[static_cast<size_t>(call)], wanted) << "world " << world << ", call " << call;
    }
  }
}

/// c10d finds the function that this program has, and waits for no name server.
TEST(Addresses, StayNumbers) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  inet_pton(AF_INET, "127.0.0.1", &address.sin_addr);  // localhost, if anything has a name
  char host[NI_MAXHOST];
  const auto found = reinterpret_cast<decltype(&getnameinfo)>(dlsym(RTLD_DEFAULT, "getnameinfo"));
  ASSERT_EQ(found(reinterpret_cast<const sockaddr*>(&address), sizeof address, host, sizeof host, nullptr, 0, 0), 0);
  EXPECT_STREQ(host, "127.0.0.1");
}

TEST(SumOverRanks, OfOneIsNothing) { EXPECT_EQ(join_ranks(Launch{}), nullptr); }

/// Worlds in which the late rank is a partner in a round, a rank beyond the power of two, and the partner of such a
/// rank.
class LateRank : public testing::TestWithParam<std::pair<int, int>> {};

TEST_P(LateRank, IsNamedWithItsPlace) {
  const auto [world, late] = GetParam();
  const auto errors = on_all(world, 10, [&, late = late](Ranks& ranks) {
    ranks.works_for("update", 7);
    std::vector<int64_t> values = {1};
    ranks.sum(values, "counting");
    if (ranks.launch().rank != late) ranks.sum(values, "adding up");
  });
  for (int rank = 0; rank < world; ++rank) {
    const std::string& error = errors[static_cast<size_t>(rank)];
    if (rank == late) {
      EXPECT_EQ(error, "");
      continue;
    }
    const std::string at = "rank " + std::to_string(rank) + " says " + error;
    EXPECT_NE(error.find("rank " + std::to_string(late) + ": after update: counting, step 7"), std::string::npos) << at;
    EXPECT_NE(error.find("found out by rank " + std::to_string(rank) + " at update: adding up, step 7 (all-reduce): "), std::string::npos) << at;
  }
}

INSTANTIATE_TEST_SUITE_P(SumOverRanks, LateRank, testing::Values(std::pair{4, 3}, std::pair{5, 4}, std::pair{5, 0}));

}  // namespace
}  // namespace flowrun
