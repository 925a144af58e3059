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
constexpr size_t most_waiting = 64 << 20;  // bytes of all answers that are on their way
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

struct Response {
  std::string head, body;
};

Response response(HttpAnswer answer, bool with_body) {
  std::string head = "HTTP/1.1 " + std::to_string(answer.status) + " " + reason(answer.status) + "\r\nContent-Type: " + answer.type +
                     "\r\nContent-Length: " + std::to_string(answer.body.size()) + "\r\nConnection: close\r\n";
  for (const std::string& header : answer.headers) head += header + "\r\n";
  return {head + "\r\n", with_body ? std::move(answer.body) : std::string()};
}

HttpAnswer plain(int status, const std::string& text) { return {.status = status, .body = text + "\n"}; }

/// The answer to the head of a request.
Response answer(std::string_view head, const HttpServer::Handler& handler) {
  const auto request = parse_request(head);
  if (!request) return response(plain(400, "this is no request of HTTP/1.1"), true);
  if (request->method != "GET" && request->method != "HEAD") {
    HttpAnswer refused = plain(405, "only GET is answered");
    refused.headers = {"Allow: GET, HEAD"};
    return response(std::move(refused), true);
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
  std::string request;
  Response answer{};  // with a head: the request is whole
  size_t sent = 0;    // of head and body
  bool finished = false;
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
    connections_.push_back({.socket = std::move(socket), .until = Clock::now() + time_for_one, .request = ""});
    if (!advance(connections_.back())) connections_.pop_back();  // usually its whole request is there already
    std::erase_if(connections_, [](const Connection& c) { return c.finished; });
  }
}

/// Reads and writes as much as possible without waiting. False: the connection is finished.
bool HttpServer::advance(Connection& c) {
  if (c.finished) return false;
  while (c.answer.head.empty()) {
    char bytes[4096];
    const ssize_t count = ::recv(c.socket.get(), bytes, sizeof bytes, 0);
    if (count < 0) return errno == EAGAIN || errno == EINTR;
    if (count == 0) return false;
    c.request.append(bytes, static_cast<size_t>(count));
    if (head_is_whole(c.request)) {
      c.answer = answer(c.request, handler_);
      make_room(c);
    } else if (c.request.size() > longest_request) {
      c.answer = response({.status = 431}, true);
    }
  }
  const size_t head = c.answer.head.size();
  while (c.sent < head + c.answer.body.size()) {
    const std::string_view rest =
        c.sent < head ? std::string_view(c.answer.head).substr(c.sent) : std::string_view(c.answer.body).substr(c.sent - head);
    const ssize_t count = ::send(c.socket.get(), rest.data(), rest.size(), MSG_NOSIGNAL | (c.sent < head && !c.answer.body.empty() ? MSG_MORE : 0));
    if (count < 0) return errno == EAGAIN || errno == EINTR;
    c.sent += static_cast<size_t>(count);
  }
  ::shutdown(c.socket.get(), SHUT_WR);
  return false;
}

/// Gives up the oldest answers that clients don't take, where all together are too large.
void HttpServer::make_room(const Connection& newest) {
  size_t waiting = 0;
  for (const Connection& c : connections_) waiting += c.answer.body.size();
  for (Connection& c : connections_) {
    if (waiting <= most_waiting) return;
    if (&c == &newest || c.answer.body.empty()) continue;
    waiting -= c.answer.body.size();
    std::string().swap(c.answer.body);  // an assignment would keep the memory until the connection is erased
    c.finished = true;
  }
}

void HttpServer::loop(const std::stop_token& stop) {
  std::vector<pollfd> waits;
  while (!stop.stop_requested()) {
    waits.assign(1, {listener_.get(), POLLIN, 0});
    for (const Connection& c : connections_) waits.push_back({c.socket.get(), static_cast<short>(c.answer.head.empty() ? POLLIN : POLLOUT), 0});
    if (::poll(waits.data(), waits.size(), look_every) < 0) continue;
    const auto now = Clock::now();
    size_t n = 0;
    for (Connection& c : connections_) {
      const short events = waits[++n].revents;
      if ((events != 0 && !advance(c)) || now > c.until) c.finished = true;
    }
    std::erase_if(connections_, [](const Connection& c) { return c.finished; });
    if (waits[0].revents != 0) accept_all();
  }
}

}  // namespace flowrun::app
