// "20 steps", "1 epoch": how often something happens. Read by the validation of "at" and by report nodes.
#pragma once

#include <charconv>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace flowrun {

struct Period {
  int64_t count;
  bool epochs;

  /// Nothing unless the text is a positive whole number, a blank, and "step", "steps", "epoch" or "epochs".
  static std::optional<Period> parse(std::string_view text) {
    int64_t count = 0;
    const char* const last = text.data() + text.size();
    const auto [end, error] = std::from_chars(text.data(), last, count);
    if (error != std::errc() || count < 1 || end == last || *end != ' ') return {};
    const std::string_view unit(end + 1, static_cast<size_t>(last - end - 1));
    if (unit == "step" || unit == "steps") return Period{count, false};
    if (unit == "epoch" || unit == "epochs") return Period{count, true};
    return {};
  }
  static std::string fault(std::string_view param, const std::string& text) {
    return std::string(param) + " must be like \"20 steps\" or \"1 epoch\", not \"" + text + "\"";
  }

  bool due(int64_t step, int64_t steps_per_epoch) const { return step % (epochs ? count * steps_per_epoch : count) == 0; }
};

}  // namespace flowrun
