// The page of all runs of a folder: what is answered to which address.
#pragma once

#include <filesystem>
#include <string>

#include "tools/app/http/server.h"
#include "tools/app/web/run_list.h"

namespace flowrun::app {

/// Answers requests about the runs below a folder, which it only reads. One thread.
class WebApi {
 public:
  /// `port`: of the server. Requests that name another host than this machine's own are refused: a page of a stranger whose name was
  /// turned to this machine can't read runs.
  WebApi(const std::filesystem::path& root, int port);

  HttpAnswer answer(const HttpRequest& request);

 private:
  HttpAnswer route(const HttpRequest& request);
  HttpAnswer run(const HttpRequest& request);
  HttpAnswer curves(const HttpRequest& request);
  HttpAnswer diff(const HttpRequest& request);
  HttpAnswer graph(const HttpRequest& request);
  HttpAnswer file(const HttpRequest& request);

  RunList runs_;
  std::string title_;
  int port_;
};

}  // namespace flowrun::app
