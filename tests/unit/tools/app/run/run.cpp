#include "tools/app/run/run.h"

#include <gmock/gmock.h>

#include "support/app_files.h"
#include "tools/app/exit.h"

namespace flowrun::app {
namespace {

using io::test::put_file;
using test::data_pipeline;
using test::json_of;
using testing::ElementsAre;

/// Writes down what it is asked and told.
class Listener : public Caller {
 public:
  std::unique_ptr<Progress> progress(bool /*quiet*/, const std::string& /*name*/) override { return std::make_unique<Steps>(*this); }
  std::unique_ptr<Opening> opening(bool alone) override {
    events.emplace_back(alone ? "opens" : "opens beside others");
    return std::make_unique<Opens>(events);
  }
  const std::atomic<bool>* stop() override { return &stopped; }
  std::function<void(const std::filesystem::path&)> report() override {
    return [this](const std::filesystem::path& run) { reported = run; };
  }

  std::vector<std::string> events;
  std::vector<int64_t> steps;
  std::atomic<bool> stopped{false};
  int64_t stop_after = 0;
  std::filesystem::path reported;

 private:
  struct Steps : Progress {
    explicit Steps(Listener& all) : all_(all) {}
    void step(const Engine& /*engine*/, const StepContext& context) override {
      all_.steps.push_back(context.step);
      if (context.step == all_.stop_after) all_.stopped = true;
    }
    Listener& all_;
  };
  struct Opens : Opening {
    explicit Opens(std::vector<std::string>& events) : events_(events) {}
    void made(const std::function<const io::RunDirectory*()>& make) override { events_.emplace_back(make() ? "made" : "found"); }
    void end() override { events_.emplace_back("open"); }
    std::vector<std::string>& events_;
  };
};

class Run : public testing::Test {
 protected:
  Run() {
    put_file(dir_ / "p.json", data_pipeline().dump());
    args_.pipeline.file = (dir_ / "p.json").string();
    args_.out = (dir_ / "run").string();
  }
  nlohmann::ordered_json result() const { return json_of(dir_ / "run/result.json"); }

  io::test::TemporaryDirectory dir_;
  RunArgs args_;
};

TEST_F(Run, TellsItsCaller) {
  Listener listener;
  EXPECT_EQ(run(args_, listener), 0);
  EXPECT_THAT(listener.events, ElementsAre("opens", "made", "open"));
  EXPECT_THAT(listener.steps, ElementsAre(1, 2, 3, 4));
  EXPECT_EQ(listener.reported, dir_ / "run");
  EXPECT_EQ(result()["status"], "done");
  EXPECT_EQ(result()["steps"], 4);
}

TEST_F(Run, NeedsNothingOfItsCaller) {
  Caller nobody;
  EXPECT_EQ(run(args_, nobody), 0);
  EXPECT_EQ(result()["status"], "done");
  EXPECT_FALSE(std::filesystem::exists(dir_ / "run/report.html"));
}

TEST_F(Run, StopsWhenItsCallerAsks) {
  Listener listener;
  listener.stop_after = 2;
  args_.pipeline.sets = {"run.epochs=1000000"};
  EXPECT_EQ(run(args_, listener), exit_stopped);
  EXPECT_EQ(result()["status"], "stopped");
  EXPECT_GE(result()["steps"], 2);
}

TEST_F(Run, ThrowsTheFaultsOfItsPipeline) {
  auto pipeline = data_pipeline();
  pipeline["nodes"]["batch"]["group"] = 3;
  put_file(dir_ / "p.json", pipeline.dump());
  Caller nobody;
  EXPECT_THROW(run(args_, nobody), PipelineError);
  EXPECT_FALSE(std::filesystem::exists(dir_ / "run"));
}

}  // namespace
}  // namespace flowrun::app
