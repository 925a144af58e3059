// "20 steps", "1 epoch": how often a report is made.
#pragma once

#include <charconv>
#include <optional>
#include <string>
#include <string_view>

#include "graph/context.h"

namespace flowrun {

class Every {
 public:
  /// Nothing unless the text is a positive number and "step(s)" or "epoch(s)".
  static std::optional<Every> parse(std::string_view text) {
    int64_t count = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), count);
    if (error != std::errc() || count < 1) return {};
    std::string_view unit(end, static_cast<size_t>(text.data() + text.size() - end));
    if (!unit.starts_with(' ')) return {};
    unit.remove_prefix(1);
    if (unit == "step" || unit == "steps") return Every(count, false);
    if (unit == "epoch" || unit == "epochs") return Every(count, true);
    return {};
  }
  static std::string fault(const char* param, const std::string& text) {
    return std::string(param) + " must be like \"20 steps\" or \"1 epoch\", not \"" + text + "\"";
  }

  bool due(const StepContext& context) const {
    const int64_t period = epochs_ ? count_ * context.run.steps_per_epoch : count_;
    return context.step % period == 0;
  }

 private:
  Every(int64_t count, bool epochs) : count_(count), epochs_(epochs) {}
  int64_t count_;
  bool epochs_;
};

}  // namespace flowrun
