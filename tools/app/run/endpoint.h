// A page for Prometheus, on this machine alone.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "io/file.h"

namespace flowrun::app {

/// Answers http://127.0.0.1:PORT/metrics. One thread serves all connections without waiting for any: each has one minute
/// in all, however many bytes it sends; if too many are open, the oldest is closed. So no client blocks another's answer,
/// or the end of a run.
class Endpoint {
 public:
  /// Opens the port. Throws RunError when it is in use.
  explicit Endpoint(int port);
  ~Endpoint();
  Endpoint(const Endpoint&) = delete;
  Endpoint& operator=(const Endpoint&) = delete;

  /// Begins to answer with what `page` gives; on a thread of its own.
  void serve(std::function<std::string()> page);

 private:
  struct Connection;
  void loop(const std::stop_token& stop);
  void accept_all();
  bool advance(Connection& connection) const;

  io::FileDescriptor listener_;
  std::function<std::string()> page_;
  std::vector<Connection> connections_;  // the oldest first
  std::jthread thread_;
};

}  // namespace flowrun::app
