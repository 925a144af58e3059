#include "tools/app/run/endpoint.h"

namespace flowrun::app {

Endpoint::Endpoint(int port) try : server_(port) {
} catch (const PortTaken& taken) {
  throw RunError(std::string("--prometheus: ") + taken.what() + "; choose another");
} catch (const RunError& error) {
  throw RunError(std::string("--prometheus: ") + error.what());
}

void Endpoint::serve(std::function<std::string()> page) {
  server_.serve([page = std::move(page)](const HttpRequest& request) -> HttpAnswer {
    if (request.path != "/metrics") return {.status = 404, .body = "there is only /metrics\n"};
    return {.type = "text/plain; version=0.0.4; charset=utf-8", .body = page()};
  });
}

}  // namespace flowrun::app
