#include "tools/app/web/api.h"

#include <set>

#include "graph/text/json_text.h"
#include "io/file.h"
#include "tools/app/draw/graph_picture.h"
#include "tools/app/json_files.h"
#include "tools/app/load/diff.h"
#include "tools/app/load/load.h"
#include "tools/app/results/report_story.h"
#include "tools/app/run/monitor.h"
#include "tools/app/web/page.h"

namespace flowrun::app {
namespace {

using nlohmann::ordered_json;
namespace fs = std::filesystem;

constexpr size_t most_curves = 64;
constexpr uintmax_t most_bytes = 64 << 20;  // of a file

// A report comes from the run's folder, which may be a stranger's: it runs as if it were of another site, which reads nothing of this one.
constexpr const char* page_policy =
    "Content-Security-Policy: default-src 'self'; img-src 'self' blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
constexpr const char* report_policy =
    "Content-Security-Policy: default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:; sandbox allow-scripts";
constexpr const char* picture_policy = "Content-Security-Policy: default-src 'none'; style-src 'unsafe-inline'; sandbox";

HttpAnswer fault(int status, const std::string& text) { return {.status = status, .body = text + "\n"}; }

HttpAnswer json(const ordered_json& value) { return {.type = "application/json", .body = json_text(value)}; }

HttpAnswer no_run() { return fault(404, "there is no such run"); }

/// The named curve of a run: a metric, or an evaluation's score.
const Curve* curve_of(const RunFacts& facts, const std::string& name) {
  for (const auto* curves : {&facts.metrics, &facts.scores}) {
    if (const auto found = curves->find(name); found != curves->end()) return &found->second;
  }
  return nullptr;
}

/// [step, mean, lowest, highest]; a null in place of values that were not finite.
ordered_json points_of(const Curve& curve) {
  ordered_json out = ordered_json::array();
  for (const Curve::Bucket& bucket : curve.buckets()) {
    out.push_back(bucket.count == 0 ? ordered_json{bucket.x, nullptr, nullptr, nullptr}
                                    : ordered_json{bucket.x, bucket.mean(), bucket.low, bucket.high});
  }
  return out;
}

ordered_json curve_names(const RunFacts& facts) {
  ordered_json out = ordered_json::array();
  for (const auto& [name, curve] : facts.metrics) out.push_back(name);
  for (const auto& [name, curve] : facts.scores) {
    if (curve.count() > 1) out.push_back(name);
  }
  return out;
}

}  // namespace

WebApi::WebApi(const fs::path& root, int port)
    : runs_(fs::canonical(root)), title_(as_utf8(fs::absolute(root).lexically_normal().generic_string())), port_(port) {}

HttpAnswer WebApi::answer(const HttpRequest& request) {
  HttpAnswer out;
  const std::string port = ":" + std::to_string(port_);
  if (request.host != "127.0.0.1" + port && request.host != "localhost" + port) {
    out = fault(403, "this page answers at http://127.0.0.1" + port + " and http://localhost" + port + " only");
  } else {
    out = route(request);
  }
  const auto has_policy = [](const std::string& header) { return header.starts_with("Content-Security-Policy"); };
  if (std::none_of(out.headers.begin(), out.headers.end(), has_policy)) out.headers.emplace_back(page_policy);
  for (const char* header : {"X-Content-Type-Options: nosniff", "Referrer-Policy: no-referrer", "Cross-Origin-Resource-Policy: same-origin",
                             "Cross-Origin-Opener-Policy: same-origin", "Cache-Control: no-store"})
    out.headers.emplace_back(header);
  return out;
}

HttpAnswer WebApi::route(const HttpRequest& request) {
  const std::string& path = request.path;
  if (path == "/") return {.type = "text/html; charset=utf-8", .body = page_html};
  if (path == "/page.css") return {.type = "text/css; charset=utf-8", .body = page_style};
  if (path == "/page.js") return {.type = "text/javascript; charset=utf-8", .body = std::string(page_script) + page_views};
  if (path == "/icon.svg") return {.type = "image/svg+xml", .body = page_icon};
  if (path == "/api/runs") {
    ordered_json out = runs_.list();
    out["folder"] = title_;
    return json(out);
  }
  if (path == "/api/run") return run(request);
  if (path == "/api/curves") return curves(request);
  if (path == "/api/diff") return diff(request);
  if (path == "/api/graph") return graph(request);
  if (path == "/file") return file(request);
  return fault(404, "there is no such page");
}

HttpAnswer WebApi::run(const HttpRequest& request) {
  const auto folder = runs_.find(request.value("name"));
  if (!folder) return no_run();
  const auto facts = runs_.facts(*folder);
  ordered_json out = {{"name", request.value("name")}, {"about", words_at(facts->pipeline, "about")}, {"verdict", ordered_json::array()}};
  const auto told = told_evaluations(*facts);
  for (const Verdict& said : verdict(*facts, told)) {
    out["verdict"].push_back({{"mood", said.mood == Mood::good ? "good" : said.mood == Mood::doubtful ? "doubtful" : "bad"}, {"text", said.text}});
  }
  out["error"] = words_at(facts->result, "error");
  out["warnings"] = facts->warnings;
  out["evaluations"] = told_json(*facts);
  out["metrics"] = curve_names(*facts);
  out["pictures"] = ordered_json::array();
  for (const fs::path& picture : facts->pictures) {
    const auto size_and_time = [&] {
      std::error_code ignored;
      return std::to_string(fs::file_size(picture, ignored)) + "-" + std::to_string(fs::last_write_time(picture, ignored).time_since_epoch().count());
    };
    if (served_file(*folder, picture.filename().string()))
      out["pictures"].push_back({{"file", picture.filename().string()}, {"tag", size_and_time()}});
  }
  out["report"] = served_file(*folder, "report.html").has_value();
  out["not_finite"] = facts->not_finite;
  out["quarantined"] = facts->quarantined;
  return json(out);
}

HttpAnswer WebApi::curves(const HttpRequest& request) {
  std::vector<std::shared_ptr<const RunFacts>> facts;
  std::vector<std::string> names, metrics;
  for (const auto& [key, value] : request.query) {
    if (key == "metric") metrics.push_back(value);
    if (key != "name" || names.size() == most_curves) continue;
    if (const auto folder = runs_.find(value)) names.push_back(value), facts.push_back(runs_.facts(*folder));
  }
  std::set<std::string> known;
  for (const auto& of_run : facts) {
    for (const auto& name : curve_names(*of_run)) known.insert(name.get<std::string>());
  }
  ordered_json charts = ordered_json::array();
  for (const std::string& metric : metrics) {
    ordered_json curves = ordered_json::array();
    for (size_t i = 0; i < facts.size(); ++i) {
      if (const Curve* curve = curve_of(*facts[i], metric)) curves.push_back({{"name", names[i]}, {"points", points_of(*curve)}});
    }
    charts.push_back({{"metric", metric}, {"curves", curves}});
  }
  return json({{"metrics", known}, {"charts", charts}, {"most", most_curves}});
}

HttpAnswer WebApi::diff(const HttpRequest& request) {
  const auto a = runs_.find(request.value("a")), b = runs_.find(request.value("b"));
  if (!a || !b) return no_run();
  const ordered_json left = read_json(*a / "pipeline.resolved.json"), right = read_json(*b / "pipeline.resolved.json");
  if (left.is_null() || right.is_null()) return fault(422, "a pipeline.resolved.json can't be read");
  return json({{"a", request.value("a")}, {"b", request.value("b")}, {"changes", resolved_changes(left, right)}});
}

HttpAnswer WebApi::graph(const HttpRequest& request) {
  const auto folder = runs_.find(request.value("name"));
  if (!folder) return no_run();
  try {
    const bool live = is_live(*folder, /*ask=*/true);  // what it answers is drawn the next time
    const CheckedPipeline pipeline = load_checked({.file = (*folder / "pipeline.resolved.json").string(), .sets = {}, .trust = false});
    const ordered_json stats = read_json(*folder / (live ? status_json_name : "stats.json"));
    HttpAnswer out{.type = "image/svg+xml", .body = graph_svg(pipeline, stats.is_null() ? std::vector<double>() : time_shares(pipeline, stats))};
    out.headers = {picture_policy};
    return out;
  } catch (const std::exception& error) {
    return fault(422, std::string("The graph can't be drawn: this program can't read the pipeline.\n") + as_utf8(error.what()));
  }
}

HttpAnswer WebApi::file(const HttpRequest& request) {
  const auto folder = runs_.find(request.value("name"));
  const auto path = folder ? served_file(*folder, request.value("path")) : std::nullopt;
  if (!path) return fault(404, "there is no such file");
  if (fs::file_size(*path) > most_bytes) return fault(422, "the file is too large to be shown");
  std::vector<uint8_t> bytes;
  io::read_file(*path, bytes);
  const bool report = path->extension() == ".html";
  HttpAnswer out{.type = report ? "text/html; charset=utf-8" : "image/png", .body = std::string(bytes.begin(), bytes.end())};
  out.headers = {report ? report_policy : picture_policy};
  return out;
}

}  // namespace flowrun::app
