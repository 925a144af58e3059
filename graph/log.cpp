// spdlog stays behind context.h: its fmt and LibTorch's can't meet in one translation unit.
#include "graph/log.h"

#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>

#include "graph/context.h"

namespace flowrun {
namespace {

using Around = std::function<void(const std::function<void()>& write)>;

Around& around_line() {
  static Around hook;
  return hook;
}

spdlog::logger& logger() {
  static const auto instance = [] {
    auto terminal = std::make_shared<spdlog::sinks::stderr_color_sink_mt>();
    terminal->set_pattern("%v");
    return std::make_shared<spdlog::logger>("flowrun", terminal);
  }();
  return *instance;
}

void log(spdlog::level::level_enum level, const std::string& text) {
  const auto write = [&] { logger().log(level, "{}", text); };
  around_line() ? around_line()(write) : write();
}

}  // namespace

void log_to(const std::string& path, Around around) {
  around_line() = std::move(around);
  auto& sinks = logger().sinks();
  sinks.resize(1);
  if (path.empty()) return;
  auto file = std::make_shared<spdlog::sinks::basic_file_sink_mt>(path);
  file->set_pattern("%Y-%m-%d %H:%M:%S %v");
  sinks.push_back(file);
  logger().flush_on(spdlog::level::info);
}

void log_info(const std::string& text) { log(spdlog::level::info, text); }
void log_warning(const std::string& text) { log(spdlog::level::warn, "warning: " + text); }

}  // namespace flowrun
