// web: a page of all runs, in a browser of this machine.
#include "tools/flowrun/cli/web.h"

#include <csignal>
#include <filesystem>
#include <iostream>
#include <memory>
#include <spawn.h>
#include <unistd.h>

#include "graph/text/error.h"
#include "graph/text/json_text.h"
#include "tools/app/web/api.h"

namespace flowrun::cli {
namespace {

std::unique_ptr<app::HttpServer> opened(int port) {
  try {
    return std::make_unique<app::HttpServer>(port);
  } catch (const app::PortTaken& taken) {
    auto server = std::make_unique<app::HttpServer>(0);
    std::cerr << taken.what() << ": " << server->port() << " is used\n";
    return server;
  }
}

void open_browser(const std::string& address) {
  std::string program = "xdg-open", argument = address;
  char* const words[] = {program.data(), argument.data(), nullptr};
  pid_t ignored = 0;
  if (::posix_spawnp(&ignored, program.c_str(), nullptr, nullptr, words, environ) != 0)
    std::cerr << "no browser could be started (xdg-open): open the address yourself\n";
}

}  // namespace

int web(const WebArgs& args) {
  std::error_code error;
  if (!std::filesystem::is_directory(args.runs, error)) throw RunError(as_utf8(args.runs) + " is no folder: give the one that your runs are in");
  sigset_t stop;  // blocked before there is another thread: only sigwait() gets them
  sigemptyset(&stop);
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) sigaddset(&stop, signal);
  pthread_sigmask(SIG_BLOCK, &stop, nullptr);
  const auto server = opened(args.port);
  app::WebApi api(args.runs, server->port());
  server->serve([&](const app::HttpRequest& request) { return api.answer(request); });
  const std::string address = "http://127.0.0.1:" + std::to_string(server->port()) + "/";
  std::cout << "the runs of " << as_utf8(args.runs) << ": " << address << " (Ctrl-C ends it)" << std::endl;
  if (args.open) open_browser(address);
  int signal = 0;
  sigwait(&stop, &signal);
  return 0;
}

}  // namespace flowrun::cli
