#include "tools/app/http/server.h"

#include <algorithm>
#include <arpa/inet.h>
#include <cerrno>
#include <chrono>
#include <netinet/in.h>
#include <poll.h>
#include <string_view>
#include <sys/socket.h>
#include <system_error>

namespace flowrun::app {
namespace {

using Clock = std::chrono::steady_clock;

constexpr size_t most_connections = 64;
constexpr size_t longest_request = 16 << 10;
constexpr auto time_for_one = std::chrono::seconds(60);
constexpr int look_every = 50;  // milliseconds: how soon an end is noticed

const char* reason(int status) {
  switch (status) {
    case 200:
      return "OK";
    case 400:
      return "Bad Request";
    case 403:
      return "Forbidden";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 422:
      return "Unprocessable Content";
    case 431:
      return "Request Header Fields Too Large";
    default:
      return "Internal Server Error";
  }
}

std::string response(const HttpAnswer& answer, bool with_body) {
  std::string out = "HTTP/1.1 " + std::to_string(answer.status) + " " + reason(answer.status) + "\r\nContent-Type: " + answer.type +
                    "\r\nContent-Length: " + std::to_string(answer.body.size()) + "\r\nConnection: close\r\n";
  for (const std::string& header : answer.headers) out += header + "\r\n";
  return out + "\r\n" + (with_body ? answer.body : "");
}

HttpAnswer plain(int status, const std::string& text) { return {.status = status, .body = text + "\n"}; }

/// The answer to the head of a request.
std::string answer(std::string_view head, const HttpServer::Handler& handler) {
  const auto request = parse_request(head);
  if (!request) return response(plain(400, "this is no request of HTTP/1.1"), true);
  if (request->method != "GET" && request->method != "HEAD") {
    HttpAnswer refused = plain(405, "only GET is answered");
    refused.headers = {"Allow: GET, HEAD"};
    return response(refused, true);
  }
  try {
    return response(handler(*request), request->method == "GET");
  } catch (const std::exception&) {
    return response(plain(500, "the answer can't be made: a file is damaged or can't be read"), request->method == "GET");
  }
}

}  // namespace

struct HttpServer::Connection {
  io::FileDescriptor socket;
  Clock::time_point until;
  std::string request, answer;  // an answer: the request is whole
  size_t sent = 0;
};

HttpServer::HttpServer(int port) : listener_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)), port_(port) {
  const int yes = 1;
  sockaddr_in address{};
  socklen_t size = sizeof address;
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const bool failed = !listener_ || ::setsockopt(listener_.get(), SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes) != 0 ||
                      ::bind(listener_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
                      ::listen(listener_.get(), 1024) != 0 || ::getsockname(listener_.get(), reinterpret_cast<sockaddr*>(&address), &size) != 0;
  port_ = ntohs(address.sin_port);
  if (!failed) return;
  const std::string name = "port " + std::to_string(port);
  if (errno == EADDRINUSE) throw PortTaken(name + " of this machine is taken");
  throw RunError(name + " can't be opened: " + std::system_category().message(errno));
}

HttpServer::~HttpServer() = default;

void HttpServer::serve(Handler handler) {
  handler_ = std::move(handler);
  thread_ = std::jthread([this](const std::stop_token& stop) { loop(stop); });
}

void HttpServer::accept_all() {
  // A few at a time: open connections continue in between.
  for (size_t n = 0; n < most_connections; ++n) {
    io::FileDescriptor socket(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (!socket && (errno == EMFILE || errno == ENFILE) && !connections_.empty()) {
      connections_.erase(connections_.begin());
      continue;
    }
    if (!socket) return;
    if (connections_.size() >= most_connections) connections_.erase(connections_.begin());
    connections_.push_back({std::move(socket), Clock::now() + time_for_one, "", ""});
    if (!advance(connections_.back())) connections_.pop_back();  // usually its whole request is there already
  }
}

/// Reads and writes as much as possible without waiting. False: the connection is finished.
bool HttpServer::advance(Connection& c) const {
  while (c.answer.empty()) {
    char bytes[4096];
    const ssize_t count = ::recv(c.socket.get(), bytes, sizeof bytes, 0);
    if (count < 0) return errno == EAGAIN || errno == EINTR;
    if (count == 0) return false;
    c.request.append(bytes, static_cast<size_t>(count));
    if (head_is_whole(c.request)) {
      c.answer = answer(c.request, handler_);
    } else if (c.request.size() > longest_request) {
      c.answer = response({.status = 431}, true);
    }
  }
  while (c.sent < c.answer.size()) {
    const ssize_t count = ::send(c.socket.get(), c.answer.data() + c.sent, c.answer.size() - c.sent, MSG_NOSIGNAL);
    if (count < 0) return errno == EAGAIN || errno == EINTR;
    c.sent += static_cast<size_t>(count);
  }
  ::shutdown(c.socket.get(), SHUT_WR);
  return false;
}

void HttpServer::loop(const std::stop_token& stop) {
  std::vector<pollfd> waits;
  while (!stop.stop_requested()) {
    waits.assign(1, {listener_.get(), POLLIN, 0});
    for (const Connection& c : connections_) waits.push_back({c.socket.get(), static_cast<short>(c.answer.empty() ? POLLIN : POLLOUT), 0});
    if (::poll(waits.data(), waits.size(), look_every) < 0) continue;
    const auto now = Clock::now();
    size_t n = 0;
    std::erase_if(connections_, [&](Connection& c) {
      const short events = waits[++n].revents;
      return (events != 0 && !advance(c)) || now > c.until;
    });
    if (waits[0].revents != 0) accept_all();
  }
}

}  // namespace flowrun::app
