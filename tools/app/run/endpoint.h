// A page for Prometheus, on this machine alone.
#pragma once

#include <functional>
#include <string>

#include "tools/app/http/server.h"

namespace flowrun::app {

/// Answers http://127.0.0.1:PORT/metrics.
class Endpoint {
 public:
  /// Opens the port. Throws RunError when it is in use.
  explicit Endpoint(int port);

  /// Begins to answer with what `page` gives; on a thread of its own.
  void serve(std::function<std::string()> page);

 private:
  HttpServer server_;
};

}  // namespace flowrun::app
