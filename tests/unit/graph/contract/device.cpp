#include "graph/contract/device.h"

#include <gtest/gtest.h>

#include "graph/text/error.h"

namespace flowrun {
namespace {

/// A kind of device that another test does not see: it is missing unless asked for.
class Abacus final : public DeviceRuntime {
 public:
  Abacus() : DeviceRuntime({.name = "abacus", .on_host = false, .preference = 9, .precisions = {"beads", "fp32"}}) {}
  std::string missing() const override { return why; }
  void resolve(RunParams& run) override { run.intra_op = 10; }
  std::string why = "its frame is broken";
};

Abacus& abacus() {
  static Abacus one;
  static const bool registered = (register_device(one), true);
  (void)registered;
  return one;
}

std::string fault(RunParams run) {
  try {
    resolve_device(run);
  } catch (const PipelineError& error) {
    return error.what();
  }
  return "";
}

TEST(Devices, AutoIsTheBestThatIsThere) {
  RunParams run;
  abacus().why = "its frame is broken";
  resolve_device(run);
  EXPECT_EQ(run.device, host_device());
  EXPECT_EQ(run.precision, "fp32");
  run = {};
  abacus().why = "";
  resolve_device(run);
  EXPECT_EQ(run.device, "abacus");
  EXPECT_EQ(run.precision, "beads");
  EXPECT_EQ(run.intra_op, 10);
  abacus().why = "its frame is broken";
}

TEST(Devices, FaultsNameWhatIsMissing) {
  abacus().why = "its frame is broken";
  RunParams run;
  run.device = "abacus";
  EXPECT_EQ(fault(run), "error: run.device is abacus, but its frame is broken");
  run.device = host_device(), run.precision = "beads";
  EXPECT_EQ(fault(run).substr(0, 72), "error: run.precision is beads, which run.device cpu does not have; it ha");
  run.device = "slide rule";
  EXPECT_EQ(fault(run), "error: there is no device \"slide rule\" in this program; there are: cpu, abacus");
}

TEST(Devices, AreListedByPreference) {
  abacus();
  const std::vector<DeviceRuntime*> all = devices();
  EXPECT_EQ(all.front()->info().name, host_device());
  EXPECT_EQ(all.back()->info().name, "abacus");
}

}  // namespace
}  // namespace flowrun
