// The head of an HTTP request, read from bytes of anybody.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace flowrun::app {

struct HttpRequest {
  std::string method;                                      // capital letters
  std::string path;                                        // begins with "/"; decoded
  std::vector<std::pair<std::string, std::string>> query;  // decoded, in their order; a key may come again
  std::string host;                                        // with its port, as the client wrote it; empty: none
  std::string fetch_site, fetch_mode;                      // Sec-Fetch-Site and Sec-Fetch-Mode: which page a browser asks for, and how; empty: none

  /// The first value of the key; empty: none.
  std::string value(std::string_view key) const;
};

/// Whether the bytes hold the whole head: up to an empty line.
bool head_is_whole(std::string_view bytes);

/// Lines may end in LF alone. Empty: not a request of HTTP/1.0 or 1.1, an address that does not begin with "/", an escape that
/// is none, a control character, a header without a name, or two of Host, Sec-Fetch-Site or Sec-Fetch-Mode.
std::optional<HttpRequest> parse_request(std::string_view bytes);

}  // namespace flowrun::app
