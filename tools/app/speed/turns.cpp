#include "tools/app/speed/turns.h"

#include <algorithm>
#include <cmath>

#include "graph/contract/device.h"
#include "tools/app/speed/study.h"
#include "tools/app/text.h"

namespace flowrun::app {

nlohmann::ordered_json speeds(const PipelineArgs& a, const PipelineArgs& b, double seconds, const Say& say) {
  constexpr int turns = 3;
  double rates[2] = {1, 1}, least = INFINITY, most = 0, delayed = 0;
  for (int turn = 0; turn < turns; ++turn) {
    double now[2];
    for (int i = 0; i < 2; ++i) {
      const PipelineArgs& pipeline = i == 0 ? a : b;
      const Study study([&] { return load_checked(pipeline); }, {});
      say("measuring " + pipeline.file + print(" for %g s", seconds / (2 * turns)));
      const Measurement found = study.measure_whole({.seconds = seconds / (2 * turns)});
      now[i] = found.rate();
      rates[i] *= now[i];
      delayed = std::max(delayed, found.delayed / (found.seconds * available_cores()));
    }
    least = std::min(least, now[1] / now[0]), most = std::max(most, now[1] / now[0]);
  }
  const double from = std::pow(rates[0], 1.0 / turns), to = std::pow(rates[1], 1.0 / turns);
  return {{"from", from},
          {"to", to},
          {"change", to / from - 1},
          {"change_low", least - 1},
          {"change_high", most - 1},
          {"delayed_share", delayed},
          {"noisy", most > 1.2 * least || delayed > 0.1}};
}

}  // namespace flowrun::app
