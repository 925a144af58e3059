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
#include "tools/flowrun/cli/signals.h"

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
  ::signal(SIGCHLD, SIG_IGN);  // nobody waits for it: the system takes it away when it ends
  // Signals as a program expects them, and a process group of its own: Ctrl-C here doesn't end the browser.
  sigset_t none, usual;
  sigemptyset(&none);
  sigemptyset(&usual);
  sigaddset(&usual, SIGCHLD);
  posix_spawnattr_t attributes;
  ::posix_spawnattr_init(&attributes);
  ::posix_spawnattr_setsigmask(&attributes, &none);
  ::posix_spawnattr_setsigdefault(&attributes, &usual);
  ::posix_spawnattr_setpgroup(&attributes, 0);
  ::posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
  pid_t ignored = 0;
  const int failed = ::posix_spawnp(&ignored, program.c_str(), nullptr, &attributes, words, environ);
  ::posix_spawnattr_destroy(&attributes);
  if (failed != 0) std::cerr << "no browser could be started (xdg-open): open the address yourself\n";
}

}  // namespace

int web(const WebArgs& args) {
  std::error_code error;
  if (!std::filesystem::is_directory(args.runs, error))
    throw RunError(as_utf8(args.runs) + " is no folder: give the one that your runs are in, or make a run there: flowrun PIPELINE.json --out " +
                   as_utf8(args.runs) + "/first");
  sigset_t stop;  // blocked before there is another thread: only sigwait() gets them
  sigemptyset(&stop);
  for (const int signal : {SIGINT, SIGTERM}) sigaddset(&stop, signal);
  if (!hangup_is_ignored()) sigaddset(&stop, SIGHUP);
  pthread_sigmask(SIG_BLOCK, &stop, nullptr);
  const auto server = opened(args.port);
  // The handler keeps it: the server's thread may be in it until the server is gone.
  const auto api = std::make_shared<app::WebApi>(args.runs, server->port());
  server->serve([api](const app::HttpRequest& request) { return api->answer(request); });
  const std::string address = "http://127.0.0.1:" + std::to_string(server->port()) + "/";
  std::cout << "the runs of " << as_utf8(args.runs) << ": " << address << " (Ctrl-C ends it)" << std::endl;
  if (args.open) open_browser(address);
  int signal = 0;
  sigwait(&stop, &signal);
  return 0;
}

}  // namespace flowrun::cli
