// A plug-in whose nodes misbehave on request, for the tests of status, stall report, profile, trace and replay.
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <thread>

#include "graph/contract/ranks.h"
#include "graph/node.h"
#include "nodes/lib/host/types/host_types.h"

namespace flowrun {
namespace {

struct Fault {
  std::string kind = "sleep";
  double ms = 10;
  int64_t every = 1, at = -1;

  void describe(auto& param) {
    static const Choices kinds{"sleep", "work", "hang", "throw", "leak", "tail"};
    param("kind", kind, kinds, "What goes wrong; tail: every 20th call takes 20 times as long.");
    param("ms", ms, Range{0, 1e6}, "For how long.");
    param("every", every, positive, "At every so many.");
    param("at", at, Range{-1, 1e12}, "Only there; -1: wherever `every` says.");
  }

  void happen(int64_t index) const {
    if (at >= 0 ? index != at : index % every != 0) return;
    const auto time = std::chrono::duration<double, std::milli>(kind == "tail" && index % 20 == 0 ? 20 * ms : ms);
    const auto begin = std::chrono::steady_clock::now();
    if (kind == "throw") throw NodeError("fault asked for at " + std::to_string(index));
    if (kind == "leak") {
      void* const memory = std::malloc(1 << 20);
      std::memset(memory, 1, 1 << 20);
      static std::atomic<void*> last;
      last = memory;
    }
    if (kind == "sleep" || kind == "tail") std::this_thread::sleep_for(time);
    while (kind == "hang" || (kind == "work" && std::chrono::steady_clock::now() - begin < time)) {
      if (kind == "hang") std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
  }
};

struct SampleFault {
  static constexpr NodeInfo info{.type = "fault.sample", .brief = "Hands images on, and misbehaves at chosen samples.", .scope = Scope::sample};
  struct Ports {
    In<Image> image{"image", "H W 3 u8."};
    Out<Image> out{"image", "The same.", InPlace{"image"}};
    void describe(auto& port) { port(image, out); }
  };
  using Params = Fault;
  Params params;
  void run(Ports& port, const SampleContext& context) const {
    params.happen(static_cast<int64_t>(context.sample));
    change_in_place(*port.image, *port.out);
  }
};
FLOWRUN_NODE(SampleFault);

struct StepFault {
  static constexpr NodeInfo info{.type = "fault.step", .brief = "Misbehaves at chosen steps.", .scope = Scope::step};
  struct Ports {
    void describe(auto&) {}
  };
  using Params = Fault;
  Params params;
  void run(Ports&, StepContext& context) { params.happen(context.step); }
};
FLOWRUN_NODE(StepFault);

struct EvaluationFault {
  static constexpr NodeInfo info{
      .type = "fault.evaluation", .brief = "Talks to the other ranks three times, and fails on one before one of these.", .scope = Scope::evaluation};
  struct Ports {
    In<ImageBatch> image{"image", "Of a whole stream."};
    void describe(auto& port) { port(image); }
  };
  struct Params {
    int64_t rank = -1, before = 0;
    void describe(auto& param) {
      param("rank", rank, Range{-2, 1000}, "Which fails; -1: all, -2: none.");
      param("before", before, Range{0, 3}, "Before which of its calls; 3: behind all.");
    }
  };
  Params params;
  void fold(Ports& port, const FoldContext&) { images_ += port.image->images; }
  void run(Ports&, EvaluationContext& context) {
    for (int64_t call = 0; call <= 3; ++call) {
      if (params.before == call && (params.rank == -1 || params.rank == context.run.rank)) throw NodeError("fault asked for");
      if (call < 3) total_ = sum(context.run, images_);
    }
    context.report("images", static_cast<double>(total_));
    images_ = 0;
  }

 private:
  static int64_t sum(const RunInfo& run, int64_t mine) {
    if (run.ranks == nullptr) return mine;
    std::vector<int64_t> all = {mine};
    run.ranks->sum(all, "counting");
    return all[0];
  }
  int64_t images_ = 0, total_ = 0;
};
FLOWRUN_NODE(EvaluationFault);

/// Preloaded into a program, this library sends it a signal before its main().
const int sent = [] {
  const char* const signal = std::getenv("FAULT_SIGNAL");
  return signal == nullptr ? 0 : std::raise(std::atoi(signal));
}();

}  // namespace
}  // namespace flowrun
