#include "tools/flowrun/cli/progress.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "tools/app/text.h"

namespace flowrun::cli {
namespace {

using namespace app;

std::string duration(double seconds) {
  if (!std::isfinite(seconds)) return "?";
  const auto s = static_cast<int64_t>(std::llround(seconds));
  if (s < 60) return print("%llds", static_cast<long long>(s));
  if (s < 3600) return print("%lldm%02llds", static_cast<long long>(s / 60), static_cast<long long>(s % 60));
  return print("%lldh%02lldm", static_cast<long long>(s / 3600), static_cast<long long>(s % 3600 / 60));
}

double ratio(int64_t done, int64_t total) { return total > 0 ? static_cast<double>(done) / static_cast<double>(total) : 0; }

std::string side(const std::string& bar, const char* name, const Limits::Side& side) {
  return bar + print("%3.0f %%  %s", 100 * side.busy, name) + (side.node.empty() ? "" : print(": %s %.0f %%", side.node.c_str(), 100 * side.share));
}

}  // namespace

bool TerminalProgress::due(bool always) {
  if (quiet_) return false;
  const auto now = Clock::now();
  if (!always && now < next_) return false;
  next_ = now + (terminal_.redraws() ? std::chrono::milliseconds(250) : std::chrono::seconds(10));
  return true;
}

/// Wide windows have bars.
std::string TerminalProgress::bar(double share) const {
  const size_t width = terminal_.width();
  if (width < 50) return "";
  const size_t length = width < 80 ? 10 : 24;
  const auto full = static_cast<size_t>(std::lround(std::clamp(share, 0.0, 1.0) * static_cast<double>(length)));
  return "[" + std::string(full, '#') + std::string(length - full, '-') + "] ";
}

void TerminalProgress::show(const std::string& plain, const std::function<std::vector<TerminalLine>()>& lines) {
  if (terminal_.redraws()) return terminal_.draw(lines());
  std::fprintf(stderr, "%s%s\n", name_.empty() ? "" : (name_ + ": ").c_str(), plain.c_str());
  std::fflush(stderr);
}

void TerminalProgress::clear() {
  const std::lock_guard lock(mutex_);
  terminal_.clear();
}

void TerminalProgress::above(const std::function<void()>& write) {
  const std::lock_guard lock(mutex_);
  terminal_.above(write);
}

/// The rate over some seconds, which follows changes without jumping.
void TerminalProgress::look(const Engine& engine, const StepContext& context, bool always) {
  const double passed = context.seconds - looked_seconds_;
  if (looked_images_ >= 0 && !always && passed < (terminal_.redraws() ? 2 : 9)) return;
  const bool first = looked_images_ < 0 && looked_seconds_ == 0;  // of a run without an evaluation at its start
  nlohmann::ordered_json now = engine.stats_json();
  if (looked_images_ >= 0 || first) {
    const int64_t images = first ? context.run.batch : context.images - looked_images_;
    limits_ = limits_between(looked_, now);
    rate_ = static_cast<double>(images) / passed;
  }
  looked_ = std::move(now), looked_seconds_ = context.seconds, looked_images_ = context.images;
}

void TerminalProgress::step(const Engine& engine, const StepContext& context) {
  const std::lock_guard lock(mutex_);
  const RunInfo& run = context.run;
  if (const auto loss = context.reports.find("loss"); loss != context.reports.end()) loss_ = print("%.4f", loss->second);
  const bool last = context.step == run.last_step;
  if (!due(last)) return;
  look(engine, context, last);
  if (rate_ == 0) return;
  const std::string steps =
      print("step %lld/%lld  epoch %.2f", static_cast<long long>(context.step), static_cast<long long>(run.last_step), context.epoch);
  const std::string rate = (loss_.empty() ? "" : "loss " + loss_ + "  ") + print("%.0f images/s", rate_);
  const std::string left = "left " + duration(static_cast<double>(run.last_step - context.step) * static_cast<double>(run.batch) / rate_);
  const std::string bottleneck = "bottleneck: " + limits_.text();
  show(steps + "  " + rate + "  " + bottleneck + "  " + left, [&] {
    const double done = ratio(context.step, run.last_step);
    const std::string data = print("data, %d thread%s", limits_.threads, limits_.threads == 1 ? "" : "s");
    return std::vector<TerminalLine>{{bar(done) + print("%3.0f %%  ", 100 * done) + steps + "  " + left, "1"},
                                     {rate},
                                     {side(bar(limits_.device.busy), "device", limits_.device)},
                                     {side(bar(limits_.data.busy), data.c_str(), limits_.data)},
                                     {bottleneck, "33"}};
  });
}

void TerminalProgress::evaluating(const std::string& source, int64_t done, int64_t total) {
  const std::lock_guard lock(mutex_);
  looked_images_ = -1, looked_seconds_ = std::max(looked_seconds_, 1e-9);  // its time doesn't count for the steps
  if (!due(false)) return;
  const std::string text = print("evaluating: %lld of %lld images of ", static_cast<long long>(done), static_cast<long long>(total)) + source;
  show(text, [&] { return std::vector<TerminalLine>{{bar(ratio(done, total)) + text, "1"}}; });
}

void TerminalProgress::working(const std::string& what, int64_t done, int64_t total, const char* unit) {
  const std::lock_guard lock(mutex_);
  const auto now = Clock::now();
  if (what != what_) what_ = what, begun_ = now, begun_at_ = done, next_ = now + std::chrono::seconds(1);
  if (!due(false)) return;
  const double rate = static_cast<double>(done - begun_at_) / std::chrono::duration<double>(now - begun_).count();
  const std::string text = what +
                           print(" %lld/%lld %s  %.0f %s/s  left ", static_cast<long long>(done), static_cast<long long>(total), unit, rate, unit) +
                           duration(static_cast<double>(total - done) / rate);
  show(text, [&] { return std::vector<TerminalLine>{{bar(ratio(done, total)) + text, "1"}}; });
}

}  // namespace flowrun::cli
