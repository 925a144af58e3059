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

  static constexpr int64_t most = 1'000'000'000'000;

  /// The period, if the text is a whole number from 1 to `most`, a blank, and "step", "steps", "epoch" or "epochs".
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
  /// An addition to the message about such a text: empty, unless its number is too large.
  static std::string limit(std::string_view text) {
    const size_t digits = text.find_first_not_of("0123456789");
    const bool is_long = digits != 0 && (digits == std::string_view::npos ? text.size() : digits) > 12;
    return is_long ? "; at most " + std::to_string(most) : "";
  }

  /// Whether a step is the last of a period. `run`: a RunInfo.
  template <class Run>
  bool due(int64_t step, const Run& run) const {
    const int64_t steps = length(run);
    return steps > 0 && (step + shift(run)) % steps == 0;
  }
  /// The next such step after `step`; INT64_MAX: none.
  template <class Run>
  int64_t next(int64_t step, const Run& run) const {
    const int64_t steps = length(run);
    int64_t end = 0;
    if (steps == 0 || __builtin_mul_overflow((step + shift(run)) / steps + 1, steps, &end)) return INT64_MAX;
    return end - shift(run);
  }
  /// In steps; 0 when that exceeds 64 bits: no run is that long.
  template <class Run>
  int64_t length(const Run& run) const {
    int64_t steps = count;
    return epochs && __builtin_mul_overflow(count, run.steps_per_epoch, &steps) ? 0 : steps;
  }

 private:
  template <class Run>
  int64_t shift(const Run& run) const {
    return epochs ? run.epoch_shift : 0;
  }
};

}  // namespace flowrun
