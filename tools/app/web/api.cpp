#include "tools/app/web/api.h"

#include <set>

#include "graph/check/entries.h"
#include "graph/compose/pipeline.h"
#include "graph/text/json_text.h"
#include "tools/app/draw/graph_picture.h"
#include "tools/app/json_files.h"
#include "tools/app/load/diff.h"
#include "tools/app/results/report_story.h"
#include "tools/app/run/monitor.h"
#include "tools/app/web/page.h"

namespace flowrun::app {
namespace {

using nlohmann::ordered_json;
namespace fs = std::filesystem;

constexpr std::string_view files = "/run/";
constexpr size_t most_curves = 64, most_points = 400'000;  // of an answer: runs, and points of all charts
constexpr int64_t most_bytes = 16 << 20;                   // of a file
constexpr size_t most_faults = 20;
// Of a pipeline that is drawn: the time that this takes grows faster than they do.
constexpr int64_t most_text = 1 << 20;
constexpr size_t most_entries = 2000;

// A report comes from the run's folder, which may be a stranger's: it runs as if it were of another site, which reads nothing of this one.
constexpr const char* page_policy =
    "Content-Security-Policy: default-src 'self'; img-src 'self' blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
constexpr const char* report_policy =
    "Content-Security-Policy: default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:; sandbox allow-scripts";
constexpr const char* picture_policy = "Content-Security-Policy: default-src 'none'; style-src 'unsafe-inline'; sandbox";

HttpAnswer fault(int status, const std::string& text) { return {.status = status, .body = text + "\n"}; }

HttpAnswer json(const ordered_json& value) { return {.type = "application/json", .body = json_text(value)}; }

HttpAnswer no_run() { return fault(404, "there is no such run"); }

/// Whether a browser asks for a page of its user's: this one, or an address typed in. Others may lead here with a link, but not to what asks a run.
bool is_from_elsewhere(const HttpRequest& request) {
  const std::string& site = request.fetch_site;
  if (site.empty() || site == "same-origin" || site == "none") return false;
  return request.fetch_mode != "navigate" || request.path.starts_with("/api/");
}

/// A resolved pipeline as a graph. It is read as text of a stranger: no other file is opened for it, and no line of it is told.
/// Throws PipelineError with the messages of its faults.
CheckedPipeline pipeline_to_draw(const fs::path& run) {
  const auto text = RunFile(run / "pipeline.resolved.json", run).text(most_text);
  if (!text) throw PipelineError("pipeline.resolved.json is missing, or larger than any that is drawn (1 MiB)");
  const auto source = std::make_shared<Source>(Source{"pipeline.resolved.json", *text});
  Diagnostics faults;
  const Value value = parse_json(source, faults);
  for (const char* key : {"extends", "swap", "set", "add", "drop", "let", "parts", "plugins"}) {
    const Value* const found = faults.empty() && value.is(Value::Kind::object) ? value.find(key) : nullptr;
    if (found == nullptr) continue;
    const bool plugins = key == std::string("plugins");
    faults.error(found->where, std::string("\"") + key + "\" names other files" +
                                   (plugins ? ": flowrun draw RUN --trust loads them" : ", or is not of a resolved pipeline"));
  }
  for (const char* section : {"models", "nodes"}) {
    const Value* const entries = faults.empty() && value.is(Value::Kind::object) ? value.find(section) : nullptr;
    if (entries != nullptr && entries->is(Value::Kind::object) && entries->members.size() > most_entries)
      faults.error(entries->where, "too many to be drawn");
  }
  CheckedPipeline out;
  if (faults.empty()) {
    const Value loaded = load_pipeline(source, {}, faults);
    if (faults.empty()) out = validate(loaded, faults);  // without sizes: they would open files of weights
  }
  if (faults.empty()) return out;
  std::string said;
  const std::vector<Diagnostics::Fault> all = faults.sorted();
  for (size_t i = 0; i < std::min(all.size(), most_faults); ++i) said += (i > 0 ? "\n" : "") + all[i].message;
  throw PipelineError(said);
}

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
  const std::string number = std::to_string(port_), port = port_ == 80 ? "" : ":" + number;  // browsers leave 80 out
  const auto is_here = [&](const std::string& name) { return request.host == name + port || request.host == name + ":" + number; };
  if (!is_here("127.0.0.1") && !is_here("localhost")) {
    out = fault(403, "this page answers at http://127.0.0.1" + port + " and http://localhost" + port +
                         " only; forwarding by ssh must have the same port on both sides: ssh -L " + number + ":localhost:" + number + " MACHINE");
  } else if (is_from_elsewhere(request)) {
    out = fault(403, "a page of another site asks for this: open http://127.0.0.1" + port + " itself");
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
  if (path.starts_with(files)) return file(path.substr(files.size()));
  return fault(404, "there is no such page");
}

HttpAnswer WebApi::run(const HttpRequest& request) {
  const auto folder = runs_.find(request.value("name"));
  if (!folder) return no_run();
  const auto facts = runs_.facts(*folder);
  ordered_json out = {{"name", request.value("name")}, {"about", words_at(facts->pipeline, "about")}, {"verdict", ordered_json::array()}};
  const auto told = told_evaluations(*facts);
  for (const Verdict& said : verdict(*facts, told)) {
    out["verdict"].push_back({{"mood", mood_name(said.mood)}, {"text", said.text}});
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
    if (is_served(picture.filename().string())) out["pictures"].push_back({{"file", picture.filename().string()}, {"tag", size_and_time()}});
  }
  out["report"] = static_cast<bool>(RunFile(*folder / "report.html", *folder));
  out["not_finite"] = facts->not_finite;
  out["quarantined"] = facts->quarantined;
  return json(out);
}

HttpAnswer WebApi::curves(const HttpRequest& request) {
  std::vector<std::shared_ptr<const RunFacts>> facts;
  std::vector<std::string> names;
  std::vector<std::string> metrics;  // each once
  for (const auto& [key, value] : request.query) {
    if (key == "metric" && std::find(metrics.begin(), metrics.end(), value) == metrics.end()) metrics.push_back(value);
    if (key != "name" || names.size() == most_curves || std::find(names.begin(), names.end(), value) != names.end()) continue;
    if (const auto folder = runs_.find(value)) names.push_back(value), facts.push_back(runs_.facts(*folder));
  }
  std::set<std::string> known;
  for (const auto& of_run : facts) {
    for (const auto& name : curve_names(*of_run)) known.insert(name.get<std::string>());
  }
  ordered_json charts = ordered_json::array();
  size_t points = 0;
  for (const std::string& metric : metrics) {
    for (const auto& of_run : facts) {
      if (const Curve* curve = curve_of(*of_run, metric)) points += curve->buckets().size();
    }
    if (points > most_points) break;
    ordered_json curves = ordered_json::array();
    for (size_t i = 0; i < facts.size(); ++i) {
      if (const Curve* curve = curve_of(*facts[i], metric)) curves.push_back({{"name", names[i]}, {"points", points_of(*curve)}});
    }
    charts.push_back({{"metric", metric}, {"curves", std::move(curves)}});
  }
  const bool all = charts.size() == metrics.size();
  return json({{"metrics", known}, {"charts", std::move(charts)}, {"all", all}, {"most", most_curves}});
}

HttpAnswer WebApi::diff(const HttpRequest& request) {
  const auto a = runs_.find(request.value("a")), b = runs_.find(request.value("b"));
  if (!a || !b) return no_run();
  const ordered_json left = read_json(RunFile(*a / "pipeline.resolved.json", *a)), right = read_json(RunFile(*b / "pipeline.resolved.json", *b));
  if (left.is_null() || right.is_null()) return fault(422, "a pipeline.resolved.json is missing, or larger than any that is drawn (1 MiB)");
  return json({{"a", request.value("a")}, {"b", request.value("b")}, {"changes", resolved_changes(left, right)}});
}

HttpAnswer WebApi::graph(const HttpRequest& request) {
  const auto folder = runs_.find(request.value("name"));
  if (!folder) return no_run();
  try {
    const bool live = is_live(*folder, /*ask=*/true);  // what it answers is drawn the next time
    const CheckedPipeline pipeline = pipeline_to_draw(*folder);
    const ordered_json stats = read_json(RunFile(*folder / (live ? status_json_name : "stats.json"), *folder));
    HttpAnswer out{.type = "image/svg+xml", .body = graph_svg(pipeline, stats.is_null() ? std::vector<double>() : time_shares(pipeline, stats))};
    out.headers = {picture_policy};
    return out;
  } catch (const PipelineError& error) {
    return fault(422, std::string("The graph can't be drawn: this program can't read the pipeline.\n") + as_utf8(error.what()));
  } catch (const std::exception&) {
    return fault(422, "The graph can't be drawn: a file of the run is damaged.");
  }
}

HttpAnswer WebApi::file(const std::string& name) {
  const size_t slash = name.rfind('/');
  const std::string file = slash == std::string::npos ? name : name.substr(slash + 1);
  const auto folder = runs_.find(slash == std::string::npos ? "." : name.substr(0, slash));
  if (!folder || !is_served(file))
    return fault(404, "there is no such file here: this page shows report.html and the pictures of runs; look for others in the run's folder");
  const RunFile found(*folder / file, *folder);
  if (!found) return fault(404, "the run has no " + file);
  auto text = found.text(most_bytes);
  if (!text) return fault(422, "the file is too large to be shown");
  const bool report = file.ends_with(".html");
  HttpAnswer out{.type = report ? "text/html; charset=utf-8" : "image/png", .body = std::move(*text)};
  out.headers = {report ? report_policy : picture_policy};
  return out;
}

}  // namespace flowrun::app
