// spdlog stays behind context.h: its fmt and LibTorch's can't meet in one translation unit.
#include "graph/contract/log.h"

#include <fstream>
#include <spdlog/sinks/ostream_sink.h>
#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>

#include "graph/contract/context.h"
#include "graph/text/error.h"
#include "graph/text/json_text.h"

namespace flowrun {
namespace {

spdlog::logger& terminal() {
  static const auto instance = [] {
    auto sink = std::make_shared<spdlog::sinks::stderr_color_sink_mt>();
    sink->set_pattern("%v");
    return std::make_shared<spdlog::logger>("flowrun", sink);
  }();
  return *instance;
}

/// spdlog's own file sink makes the folder where it is gone: a run that was stopped while it opened has just removed it.
struct LogFile {
  std::ofstream stream;
  std::shared_ptr<spdlog::logger> logger;
};

Log& process_log() {
  static Log log;
  return log;
}

void log(spdlog::level::level_enum level, const std::string& raw) {
  const std::string text = as_utf8(raw);
  const Log target = thread_log() ? thread_log() : process_log();
  if (!target) return terminal().log(level, "{}", text);
  const std::string line = target->name.empty() ? text : target->name + ": " + text;
  const auto write = [&] { terminal().log(level, "{}", line); };
  if (target->terminal && (!target->only_warnings || level >= spdlog::level::warn)) target->around ? target->around(line, write) : write();
  if (target->file) target->file->log(level, "{}", text);
}

}  // namespace

LogTarget::LogTarget(const std::string& path, std::string name, Around around) : name(std::move(name)), around(std::move(around)) {
  if (path.empty()) return;
  const auto opened = std::make_shared<LogFile>();
  opened->stream.open(path, std::ios::app);
  if (!opened->stream) throw RunError("can't write " + path);
  auto sink = std::make_shared<spdlog::sinks::ostream_sink_mt>(opened->stream, /*force_flush=*/true);
  sink->set_pattern("%Y-%m-%d %H:%M:%S %v");
  opened->logger = std::make_shared<spdlog::logger>("flowrun", sink);
  file = std::shared_ptr<spdlog::logger>(opened, opened->logger.get());
}

void log_to(Log log) { process_log() = std::move(log); }

Log& thread_log() {
  thread_local Log log;
  return log;
}

Silence::Silence() : before_(thread_log()) {
  auto silent = std::make_shared<LogTarget>("", "", nullptr);
  silent->terminal = false;
  thread_log() = std::move(silent);
}

Silence::~Silence() { thread_log() = std::move(before_); }

void log_info(const std::string& text) { log(spdlog::level::info, text); }
void log_warning(const std::string& text) { log(spdlog::level::warn, "warning: " + text); }

}  // namespace flowrun
