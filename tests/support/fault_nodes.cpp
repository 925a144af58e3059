// A plug-in whose nodes misbehave when told to: what the tests of status, stall report, profile, trace and replay look for.
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <thread>

#include "graph/node.h"
#include "nodes/host.h"

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

}  // namespace
}  // namespace flowrun
