#include "tools/app/run/endpoint.h"

#include <algorithm>
#include <arpa/inet.h>
#include <cerrno>
#include <chrono>
#include <netinet/in.h>
#include <poll.h>
#include <string_view>
#include <sys/socket.h>

#include "graph/text/error.h"

namespace flowrun::app {
namespace {

using Clock = std::chrono::steady_clock;

constexpr size_t most_connections = 64;
constexpr size_t longest_request = 16 << 10;
constexpr auto time_for_one = std::chrono::seconds(60);
constexpr int look_every = 50;  // milliseconds: how soon an end is noticed

std::string response(const char* status, const std::string& body, bool with_body) {
  return "HTTP/1.1 " + std::string(status) +
         "\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\nContent-Length: " + std::to_string(body.size()) +
         "\r\nConnection: close\r\n\r\n" + (with_body ? body : "");
}

/// The answer to the head of a request.
std::string answer(std::string_view request, const std::function<std::string()>& page) {
  const std::string_view line = request.substr(0, request.find_first_of("\r\n"));
  const size_t blank = line.find(' ');
  const std::string_view method = line.substr(0, blank);
  const std::string_view rest = blank == std::string_view::npos ? "" : line.substr(blank + 1);
  const std::string_view path = rest.substr(0, rest.find_first_of(" ?"));
  if (method != "GET" && method != "HEAD") return response("405 Method Not Allowed", "only GET is answered\n", true);
  if (path != "/metrics") return response("404 Not Found", "there is only /metrics\n", method == "GET");
  try {
    return response("200 OK", page(), method == "GET");
  } catch (const std::exception&) {
    return response("500 Internal Server Error", "the run's state can't be read\n", method == "GET");
  }
}

bool is_whole(const std::string& request) { return request.find("\r\n\r\n") != std::string::npos || request.find("\n\n") != std::string::npos; }

}  // namespace

struct Endpoint::Connection {
  io::FileDescriptor socket;
  Clock::time_point until;
  std::string request, answer;  // an answer: the request is whole
  size_t sent = 0;
};

Endpoint::Endpoint(int port) : listener_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)) {
  const int yes = 1;
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const bool taken = !listener_ || ::setsockopt(listener_.get(), SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes) != 0 ||
                     ::bind(listener_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
                     ::listen(listener_.get(), 1024) != 0;
  if (!taken) return;
  if (errno == EADDRINUSE) throw RunError("--prometheus: port " + std::to_string(port) + " of this machine is taken; choose another");
  throw RunError("--prometheus: port " + std::to_string(port) + " can't be opened: " + std::system_category().message(errno));
}

Endpoint::~Endpoint() = default;

void Endpoint::serve(std::function<std::string()> page) {
  page_ = std::move(page);
  thread_ = std::jthread([this](const std::stop_token& stop) { loop(stop); });
}

void Endpoint::accept_all() {
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
bool Endpoint::advance(Connection& c) const {
  while (c.answer.empty()) {
    char bytes[4096];
    const ssize_t count = ::recv(c.socket.get(), bytes, sizeof bytes, 0);
    if (count < 0) return errno == EAGAIN || errno == EINTR;
    if (count == 0) return false;
    c.request.append(bytes, static_cast<size_t>(count));
    if (is_whole(c.request)) {
      c.answer = answer(c.request, page_);
    } else if (c.request.size() > longest_request) {
      c.answer = response("431 Request Header Fields Too Large", "", true);
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

void Endpoint::loop(const std::stop_token& stop) {
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
