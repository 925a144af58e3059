// spdlog stays behind context.h: its fmt and LibTorch's can't meet in one translation unit.
#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>

#include "graph/context.h"

namespace flowrun {
namespace {

spdlog::logger& logger() {
  static const auto instance = [] {
    auto out = spdlog::stderr_color_mt("flowrun");
    out->set_pattern("%^%l%$: %v");
    return out;
  }();
  return *instance;
}

}  // namespace

void log_info(const std::string& text) { logger().info("{}", text); }
void log_warning(const std::string& text) { logger().warn("{}", text); }

}  // namespace flowrun
