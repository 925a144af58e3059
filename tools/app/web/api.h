// The answers of `flowrun web`: the page, and what its script asks for, by address.
#pragma once

#include <filesystem>
#include <string>

#include "tools/app/http/server.h"
#include "tools/app/web/run_list.h"

namespace flowrun::app {

/// Answers requests about the runs below a folder, which it only reads. Called by one thread at a time.
class WebApi {
 public:
  /// `port`: of the server. A request is refused where its Host is another than 127.0.0.1 or localhost with that port (DNS rebinding), or where a
  /// browser says in Sec-Fetch-Site that a page of another site makes it; links of other sites to the page itself are answered.
  WebApi(const std::filesystem::path& root, int port);

  HttpAnswer answer(const HttpRequest& request);

 private:
  HttpAnswer route(const HttpRequest& request);
  HttpAnswer run(const HttpRequest& request);
  HttpAnswer curves(const HttpRequest& request);
  HttpAnswer diff(const HttpRequest& request);
  HttpAnswer graph(const HttpRequest& request);
  /// `name`: RUN/FILE, or FILE alone where the folder is a run itself.
  HttpAnswer file(const std::string& name);

  RunList runs_;
  std::string title_;
  int port_;
};

}  // namespace flowrun::app
