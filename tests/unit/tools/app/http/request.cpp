#include "tools/app/http/request.h"

#include <gtest/gtest.h>

namespace flowrun::app {
namespace {

TEST(HttpRequest, IsTakenApart) {
  const auto request = parse_request(
      "GET /a%20b/c?name=x%2Fy&name=z+w&flag&=v HTTP/1.1\r\nAccept: */*\r\nhOsT: \t localhost:80 \r\nSec-Fetch-Site: cross-site\r\nsec-fetch-mode: "
      "no-cors\r\n\r\nrest");
  ASSERT_TRUE(request);
  EXPECT_EQ(request->method, "GET");
  EXPECT_EQ(request->path, "/a b/c");
  EXPECT_EQ(request->host, "localhost:80");
  EXPECT_EQ(request->fetch_site, "cross-site");
  EXPECT_EQ(request->fetch_mode, "no-cors");
  const std::vector<std::pair<std::string, std::string>> query = {{"name", "x/y"}, {"name", "z w"}, {"flag", ""}, {"", "v"}};
  EXPECT_EQ(request->query, query);
  EXPECT_EQ(request->value("name"), "x/y");
  EXPECT_EQ(request->value("none"), "");
}

TEST(HttpRequest, MayEndItsLinesInOneByte) {
  const auto request = parse_request("HEAD /metrics HTTP/1.0\nHost: x\n\n");
  ASSERT_TRUE(request);
  EXPECT_EQ(request->host, "x");
  EXPECT_TRUE(head_is_whole("GET / HTTP/1.0\n\n"));
  EXPECT_TRUE(head_is_whole("GET / HTTP/1.1\r\n\r\n"));
  EXPECT_FALSE(head_is_whole("GET / HTTP/1.1\r\nHost: x\r\n"));
}

TEST(HttpRequest, ThatIsNoneIsRefused) {
  using namespace std::string_view_literals;
  for (const std::string_view bytes : {""sv,
                                       "GET"sv,
                                       "GET /"sv,
                                       "GET / HTTP/2"sv,
                                       "GET / HTTP/1.1 x"sv,
                                       "get / HTTP/1.1"sv,
                                       " GET / HTTP/1.1"sv,
                                       "GET  / HTTP/1.1"sv,
                                       "GET http://x/ HTTP/1.1"sv,
                                       "GET a HTTP/1.1"sv,
                                       "GET /% HTTP/1.1"sv,
                                       "GET /%4 HTTP/1.1"sv,
                                       "GET /%zz HTTP/1.1"sv,
                                       "GET /%00 HTTP/1.1"sv,
                                       "GET /?a=%0a HTTP/1.1"sv,
                                       "GET /\0 HTTP/1.1"sv,
                                       "GET / HTTP/1.1\r\nno colon\r\n\r\n"sv,
                                       "GET / HTTP/1.1\r\n: nameless\r\n\r\n"sv,
                                       "GET / HTTP/1.1\r\nHost : x\r\n\r\n"sv,
                                       "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"sv,
                                       "GET / HTTP/1.1\r\nSec-Fetch-Site: none\r\nSec-Fetch-Site: none\r\n\r\n"sv,
                                       "GET / HTTP/1.1\r\nHost: a\r\n folded: b\r\n\r\n"sv,
                                       "GET / HTTP/1.1\r\nX: \x01\r\n\r\n"sv}) {
    EXPECT_FALSE(parse_request(bytes)) << bytes;
  }
}

}  // namespace
}  // namespace flowrun::app
