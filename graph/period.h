// "20 steps", "1 epoch": how often something happens. Read by the validation of "at" and by report nodes.
#pragma once

#include <charconv>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>

namespace flowrun {

struct Period {
  int64_t count;
  bool epochs;

  static constexpr int64_t most = 1'000'000'000'000;

  /// Nothing unless the text is a whole number from 1 to `most`, a blank, and "step", "steps", "epoch" or "epochs".
  static std::optional<Period> parse(std::string_view text) {
    int64_t count = 0;
    const char* const last = text.data() + text.size();
    const auto [end, error] = std::from_chars(text.data(), last, count);
    if (error != std::errc() || count < 1 || count > most || end == last || *end != ' ') return {};
    const std::string_view unit(end + 1, static_cast<size_t>(last - end - 1));
    if (unit == "step" || unit == "steps") return Period{count, false};
    if (unit == "epoch" || unit == "epochs") return Period{count, true};
    return {};
  }
  static std::string fault(std::string_view param, const std::string& text) {
    return std::string(param) + " must be like \"20 steps\" or \"1 epoch\", not \"" + text + "\"" + limit(text);
  }
  /// What to add to a message about such a text: nothing, unless it may be meant as a number that is too large.
  static std::string limit(std::string_view text) {
    const size_t digits = text.find_first_not_of("0123456789");
    const bool is_long = digits != 0 && (digits == std::string_view::npos ? text.size() : digits) > 12;
    return is_long ? "; at most " + std::to_string(most) : "";
  }

  /// In steps; what 64 bits can't hold is as good as never.
  static int64_t steps(int64_t epochs, int64_t steps_per_epoch) {
    int64_t out = 0;
    return __builtin_mul_overflow(epochs, steps_per_epoch, &out) ? std::numeric_limits<int64_t>::max() : out;
  }
  bool due(int64_t step, int64_t steps_per_epoch) const { return step % (epochs ? steps(count, steps_per_epoch) : count) == 0; }
};

}  // namespace flowrun
