#include "graph/contract/ranks.h"

#include <gtest/gtest.h>
#include <map>

#include "graph/run/records.h"
#include "graph/text/error.h"

namespace flowrun {
namespace {

Launch launch(const std::map<std::string, std::string>& variables) {
  return find_launch([&](const char* name) {
    const auto found = variables.find(name);
    return found == variables.end() ? nullptr : found->second.c_str();
  });
}

std::string refusal(const std::map<std::string, std::string>& variables) {
  try {
    launch(variables);
  } catch (const PipelineError& error) {
    return error.what();
  }
  return "";
}

TEST(Launch, IsOneProcessWithoutVariables) {
  EXPECT_EQ(launch({}).world, 1);
  // A batch script of Slurm is one process, whatever its job may start.
  EXPECT_EQ(launch({{"SLURM_NTASKS", "8"}, {"SLURM_PROCID", "0"}, {"SLURM_JOB_ID", "7"}}).world, 1);
}

TEST(Launch, ReadsTorchrun) {
  const Launch it = launch({{"RANK", "5"},
                            {"WORLD_SIZE", "8"},
                            {"LOCAL_RANK", "1"},
                            {"LOCAL_WORLD_SIZE", "4"},
                            {"MASTER_ADDR", "node7"},
                            {"MASTER_PORT", "29500"},
                            {"TORCHELASTIC_RESTART_COUNT", "2"},
                            {"TORCHELASTIC_USE_AGENT_STORE", "True"}});
  EXPECT_EQ(it.rank, 5);
  EXPECT_EQ(it.world, 8);
  EXPECT_EQ(it.local_rank, 1);
  EXPECT_EQ(it.local_world, 4);
  EXPECT_EQ(it.host, "node7");
  EXPECT_EQ(it.port, 29500);
  EXPECT_EQ(it.restarts, 2);
  EXPECT_EQ(it.by, "torchrun");
  EXPECT_FALSE(it.hosts_store);
}

TEST(Launch, Rank0OpensTheStoreUnlessAnAgentHas) {
  std::map<std::string, std::string> variables = {{"RANK", "0"}, {"WORLD_SIZE", "2"}, {"MASTER_ADDR", "here"}, {"MASTER_PORT", "1234"}};
  EXPECT_TRUE(launch(variables).hosts_store);
  variables["TORCHELASTIC_USE_AGENT_STORE"] = "True";
  EXPECT_FALSE(launch(variables).hosts_store);
  variables["TORCHELASTIC_USE_AGENT_STORE"] = "False";
  EXPECT_TRUE(launch(variables).hosts_store);
  variables["RANK"] = "1";
  EXPECT_FALSE(launch(variables).hosts_store);
}

TEST(Launch, ReadsSlurmsSteps) {
  std::map<std::string, std::string> variables = {
      {"SLURM_STEP_NUM_TASKS", "12"},          {"SLURM_PROCID", "9"},     {"SLURM_LOCALID", "1"}, {"SLURM_STEP_TASKS_PER_NODE", "4(x3)"},
      {"SLURM_STEP_NODELIST", "gpu[03-05,7]"}, {"SLURM_JOB_ID", "123456"}};
  const Launch it = launch(variables);
  EXPECT_EQ(it.rank, 9);
  EXPECT_EQ(it.world, 12);
  EXPECT_EQ(it.local_rank, 1);
  EXPECT_EQ(it.local_world, 4);
  EXPECT_EQ(it.host, "gpu03");
  EXPECT_EQ(it.port, 20000 + 123456 % 20000);
  variables["SLURM_STEP_NODELIST"] = "alpha,beta";
  EXPECT_EQ(launch(variables).host, "alpha");
  variables["SLURM_STEP_NODELIST"] = "gpu[7,9]-ib";
  EXPECT_EQ(launch(variables).host, "gpu7");
  variables["MASTER_ADDR"] = "given", variables["MASTER_PORT"] = "77";
  EXPECT_EQ(launch(variables).host, "given");
  EXPECT_EQ(launch(variables).port, 77);
}

TEST(Launch, ReadsMpi) {
  const Launch open = launch({{"OMPI_COMM_WORLD_SIZE", "2"},
                              {"OMPI_COMM_WORLD_RANK", "1"},
                              {"OMPI_COMM_WORLD_LOCAL_SIZE", "2"},
                              {"OMPI_COMM_WORLD_LOCAL_RANK", "1"},
                              {"MASTER_PORT", "5000"}});
  EXPECT_EQ(open.rank, 1);
  EXPECT_EQ(open.host, "127.0.0.1");  // all are on this machine
  const Launch mpich = launch({{"PMI_SIZE", "3"}, {"PMI_RANK", "2"}, {"MASTER_ADDR", "a"}, {"MASTER_PORT", "5000"}});
  EXPECT_EQ(mpich.rank, 2);
  EXPECT_EQ(mpich.by, "MPI (PMI)");
}

TEST(Launch, NeverGuesses) {
  EXPECT_NE(refusal({{"WORLD_SIZE", "2"}}).find("RANK is not"), std::string::npos);
  EXPECT_NE(refusal({{"RANK", "0"}}).find("WORLD_SIZE is not"), std::string::npos);
  EXPECT_NE(refusal({{"WORLD_SIZE", "two"}, {"RANK", "0"}}).find("\"two\""), std::string::npos);
  EXPECT_NE(refusal({{"WORLD_SIZE", "2"}, {"RANK", "2"}}).find("from 0 to 1"), std::string::npos);
  EXPECT_NE(refusal({{"WORLD_SIZE", "2"}, {"RANK", "0"}, {"MASTER_ADDR", "a"}}).find("MASTER_PORT"), std::string::npos);
  EXPECT_NE(refusal({{"OMPI_COMM_WORLD_SIZE", "2"}, {"OMPI_COMM_WORLD_RANK", "0"}, {"OMPI_COMM_WORLD_LOCAL_SIZE", "1"}}).find("MASTER_ADDR"),
            std::string::npos);
}

TEST(Pass, IsSharedInWholeGroups) {
  StreamPlan stream;
  stream.grouping = {10, 10};
  for (const uint64_t samples : {1, 9, 10, 11, 95, 100}) {
    for (const int world : {1, 2, 3, 4, 16}) {
      uint64_t next = 0;  // ranks follow one another without a gap
      for (int rank = 0; rank < world; ++rank) {
        const Segment segment = Segment::pass(stream, samples, rank, world);
        int64_t images = 0;
        for (int64_t group = 0; group < segment.groups; ++group) {
          EXPECT_EQ(segment.place(group).position, next);
          EXPECT_EQ(segment.place(group).epoch, 0);
          images += segment.images(group);
          next += static_cast<uint64_t>(segment.images(group));
        }
        if (segment.groups > 0) {
          EXPECT_EQ(segment.total_samples(), images);
        }
      }
      EXPECT_EQ(next, samples) << world << " ranks";
    }
  }
}

}  // namespace
}  // namespace flowrun
