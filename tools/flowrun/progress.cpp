#include "tools/flowrun/progress.h"

#include <cmath>
#include <cstdio>
#include <unistd.h>

#include "tools/flowrun/text.h"

namespace flowrun::tool {
namespace {

std::string duration(double seconds) {
  const auto s = static_cast<int64_t>(std::llround(seconds));
  if (s < 60) return print("%llds", static_cast<long long>(s));
  if (s < 3600) return print("%lldm%02llds", static_cast<long long>(s / 60), static_cast<long long>(s % 60));
  return print("%lldh%02lldm", static_cast<long long>(s / 3600), static_cast<long long>(s % 3600 / 60));
}

}  // namespace

Progress::Progress(bool quiet, std::string name) : name_(std::move(name)), quiet_(quiet), terminal_(name_.empty() && isatty(STDERR_FILENO) != 0) {}

bool Progress::due(bool always) {
  if (quiet_) return false;
  const auto now = Clock::now();
  if (!always && now < next_) return false;
  next_ = now + (terminal_ ? std::chrono::milliseconds(250) : std::chrono::seconds(10));
  return true;
}

void Progress::show(const std::string& line) {
  std::fprintf(stderr, terminal_ ? "\r\033[K%s%s" : "%s%s\n", name_.empty() ? "" : (name_ + ": ").c_str(), line.c_str());
  std::fflush(stderr);
  shown_ = terminal_;
}

void Progress::clear() {
  if (shown_.exchange(false)) std::fputs("\r\033[K", stderr);
}

void Progress::step(const Engine& engine, const StepContext& context) {
  const RunInfo& run = context.run;
  if (const auto loss = context.reports.find("loss"); loss != context.reports.end()) loss_ = print("%.4f", loss->second);
  if (mark_images_ < 0) mark_images_ = context.images - run.batch;
  if (!due(context.step == run.last_step)) return;
  // A mean over the last seconds follows changes without jumping.
  if (const double passed = context.seconds - mark_seconds_; passed > (terminal_ ? 3 : 9) || rate_ == 0) {
    rate_ = static_cast<double>(context.images - mark_images_) / passed;
    mark_seconds_ = context.seconds, mark_images_ = context.images;
  }
  std::string busy;
  for (const auto& [name, seconds] : engine.busiest(3)) {
    const double share = seconds / context.seconds;
    if (share >= 0.005) busy += print(" %s %.0f%%", name.c_str(), 100 * share);
  }
  const double left = static_cast<double>(run.last_step - context.step) * static_cast<double>(run.batch) / rate_;
  show(print("step %lld/%lld  epoch %.2f  ", static_cast<long long>(context.step), static_cast<long long>(run.last_step), context.epoch) +
       (loss_.empty() ? "" : "loss " + loss_ + "  ") + print("%.0f images/s ", rate_) + (busy.empty() ? "" : " busy:" + busy + " ") + " left " +
       duration(left));
}

void Progress::evaluating(const std::string& source, int64_t done, int64_t total) {
  if (due(false)) show(print("evaluating: %lld of %lld images of ", static_cast<long long>(done), static_cast<long long>(total)) + source);
}

void Progress::working(const std::string& what, int64_t done, int64_t total, const char* unit) {
  const auto now = Clock::now();
  if (what != what_) what_ = what, begun_ = now, begun_at_ = done, next_ = now + std::chrono::seconds(1);
  if (!due(false)) return;
  const double rate = static_cast<double>(done - begun_at_) / std::chrono::duration<double>(now - begun_).count();
  show(what + print(" %lld/%lld %s  %.0f %s/s  left ", static_cast<long long>(done), static_cast<long long>(total), unit, rate, unit) +
       (rate > 0 ? duration(static_cast<double>(total - done) / rate) : "?"));
}

}  // namespace flowrun::tool
