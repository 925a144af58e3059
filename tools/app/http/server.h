// A small HTTP server for this machine alone: it answers GET and HEAD.
#pragma once

#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "graph/text/error.h"
#include "io/file.h"
#include "tools/app/http/request.h"

namespace flowrun::app {

struct HttpAnswer {
  int status = 200;
  std::string type = "text/plain; charset=utf-8";
  std::string body;
  std::vector<std::string> headers{};  // further ones: "Name: value"
};

/// Another program has the port.
class PortTaken : public RunError {
  using RunError::RunError;
};

/// Listens on 127.0.0.1. One thread serves all connections without waiting for any: each has one minute in all, however many
/// bytes it sends or takes. If too many are open, or if more than 64 MiB of answers wait for their clients, the oldest is closed. So
/// no client blocks another's answer, or the end of the program; requests are answered one after the other.
class HttpServer {
 public:
  using Handler = std::function<HttpAnswer(const HttpRequest&)>;

  /// Opens the port; 0: a free one. Throws PortTaken or RunError.
  explicit HttpServer(int port);
  ~HttpServer();
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  int port() const { return port_; }
  /// Begins to answer GET and HEAD, on a thread of its own. Where the handler throws, the client gets status 500.
  void serve(Handler handler);

 private:
  struct Connection;
  void loop(const std::stop_token& stop);
  void accept_all();
  bool advance(Connection& connection);
  void make_room(const Connection& newest);

  io::FileDescriptor listener_;
  int port_;
  Handler handler_;
  std::vector<Connection> connections_;  // the oldest first
  std::jthread thread_;
};

}  // namespace flowrun::app
