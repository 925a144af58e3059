#include "tools/app/results/report.h"

#include <algorithm>
#include <cctype>
#include <cmath>
#include <set>
#include <sstream>

#include "graph/contract/context.h"
#include "graph/contract/direction.h"
#include "graph/text/json_text.h"
#include "io/file.h"
#include "nodes/lib/tensor/report/feature_history.h"
#include "tools/app/base64.h"
#include "tools/app/draw/graph_picture.h"
#include "tools/app/draw/masks.h"
#include "tools/app/escape.h"
#include "tools/app/json_files.h"
#include "tools/app/load/load.h"
#include "tools/app/results/report_page.h"
#include "tools/app/results/report_story.h"
#include "tools/app/results/run_facts.h"

namespace flowrun::app {
namespace {

using nlohmann::ordered_json;

constexpr size_t most_picture_bytes = 4 << 20;  // of all pictures together, in their stored size

/// A number as readers expect it.
std::string shown(const ordered_json& value) {
  if (value.is_string()) return value.get<std::string>();
  if (value.is_number_float()) return short_number(value.get<double>());
  return value.is_null() ? "not finite" : json_text(value);
}

std::string duration(double seconds) {
  char text[48];
  if (seconds >= 3600) {
    std::snprintf(text, sizeof text, "%d h %02d min", static_cast<int>(seconds / 3600), static_cast<int>(seconds / 60) % 60);
  } else if (seconds >= 60) {
    std::snprintf(text, sizeof text, "%d min %02d s", static_cast<int>(seconds / 60), static_cast<int>(seconds) % 60);
  } else if (seconds >= 0.1 || seconds == 0) {
    std::snprintf(text, sizeof text, "%.3g s", seconds);
  } else {
    std::snprintf(text, sizeof text, seconds >= 1e-4 ? "%.3g ms" : "%.3g µs", seconds * (seconds >= 1e-4 ? 1e3 : 1e6));
  }
  return text;
}

class Page {
 public:
  /// `folder`: the folder of the page, from which its links start.
  Page(const RunFacts& facts, const std::filesystem::path& folder, bool trust) : f_(facts), trust_(trust) {
    const auto way =
        std::filesystem::absolute(facts.paths.root).lexically_normal().lexically_relative(std::filesystem::absolute(folder).lexically_normal());
    if (!way.empty() && way != "." && way != "./") base_ = url_path(way.generic_string()) + "/";
  }

  std::string write() {
    head();
    for (const auto part : {&Page::story, &Page::problems, &Page::evaluations, &Page::charts, &Page::pictures, &Page::masks, &Page::graph_and_time,
                            &Page::quarantine, &Page::files}) {
      try {
        (this->*part)();
      } catch (const std::exception&) {  // a file of the run was edited, or damaged
        body_ << "<p class=\"bad\">A part of the page is left out: a file of the run is damaged or was edited.</p>\n";
      }
    }
    contents();
    out_ << body_.str() << "</main>\n" << report_script << "</body>\n</html>\n";
    return out_.str();
  }

 private:
  std::string part(const ordered_json& object, const char* key) const {
    return object.is_object() && object.contains(key) ? shown(object[key]) : std::string();
  }
  const ordered_json& run_params() const {
    static const ordered_json none = ordered_json::object();
    const auto found = f_.pipeline.find("run");
    return f_.pipeline.is_object() && found != f_.pipeline.end() ? *found : none;
  }
  static void fact(std::ostream& out, const std::string& name, const std::string& value) {
    if (!value.empty()) out << "<div><dt>" << xml_text(name) << "</dt><dd>" << xml_text(value) << "</dd></div>";
  }

  std::string status() const { return f_.result.is_null() ? "no result yet: the run goes on, or was killed" : part(f_.result, "status"); }

  void head() {
    const std::string name = std::filesystem::absolute(f_.paths.root).lexically_normal().filename().string();
    const std::string title = name.empty() ? f_.paths.root.string() : name;
    out_ << "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width\">\n<title>"
         << xml_text(title) << " - flowrun</title>\n"
         << report_style << "</head>\n<body>\n<main>\n<h1>" << xml_text(title) << "</h1>\n";
    if (const std::string about = part(f_.pipeline, "about"); !about.empty()) out_ << "<p>" << xml_text(about) << "</p>\n";
    out_ << "<dl class=\"facts\">";
    fact(out_, "status", status());
    const std::string steps = part(f_.result, "steps");
    fact(out_, "steps", steps.empty() && f_.last_step > 0 ? std::to_string(f_.last_step) + " reported" : steps);
    fact(out_, "images", part(f_.result, "images"));
    if (f_.result.is_object() && f_.result.contains("seconds") && f_.result["seconds"].is_number())
      fact(out_, "time of the last start", duration(f_.result["seconds"]));
    if (const auto rate = f_.metrics.find("images_per_second"); rate != f_.metrics.end()) {
      fact(out_, "images a second", short_number(std::round(rate->second.mean())) + " on average");
    }
    if (const auto loss = f_.metrics.find("loss"); loss != f_.metrics.end() && loss->second.count() > 0)
      fact(out_, "last loss", short_number(loss->second.last()));
    fact(out_, "device", part(run_params(), "device"));
    fact(out_, "precision", part(run_params(), "precision"));
    fact(out_, "data threads", part(f_.stats, "threads"));
    fact(out_, "threads in operations", part(run_params(), "intra_op"));
    fact(out_, "seed", part(f_.pipeline, "seed"));
    if (f_.pipeline.is_object() && f_.pipeline.contains("resolved")) {
      fact(out_, "version", part(f_.pipeline["resolved"], "version"));
      fact(out_, "pipeline hash", part(f_.pipeline["resolved"], "hash"));
    }
    out_ << "</dl>\n";
  }

  void problems() {
    std::ostringstream list;
    if (const std::string error = part(f_.result, "error"); !error.empty()) list << "<pre class=\"bad\">" << xml_text(error) << "</pre>";
    for (const auto& path : f_.failed_steps) list << "<p>Samples of the step that failed: " << link(path) << "</p>";
    if (f_.not_finite > 0) {
      list << "<p class=\"bad\">The loss was not finite in " << f_.not_finite << " of the steps reported, first in step " << f_.first_not_finite
           << ".</p>";
    }
    if (!f_.warnings.empty()) {
      list << "<details open><summary>Warnings of the log</summary><pre>";
      for (const std::string& line : f_.warnings) list << xml_text(line) << '\n';
      list << "</pre></details>";
    }
    section("Problems", list.str());
  }

  void section(const std::string& title, const std::string& inside) {
    if (inside.empty()) return;
    std::string id = title;
    std::transform(id.begin(), id.end(), id.begin(), [](unsigned char c) { return c == ' ' ? '-' : static_cast<char>(std::tolower(c)); });
    body_ << "<section id=\"" << id << "\"><h2>" << title << "</h2>\n" << inside << "</section>\n";
    titles_.emplace_back(id, title);
  }

  /// Links to the sections.
  void contents() {
    if (titles_.size() < 2) return;
    out_ << "<nav>";
    for (const auto& [id, title] : titles_) out_ << "<a href=\"#" << id << "\">" << title << "</a> ";
    out_ << "</nav>\n";
  }

  /// The verdict: what a reader wants to know first.
  void story() {
    const std::vector<Verdict> sentences = verdict(f_, told_);
    if (sentences.empty()) return;
    out_ << "<ul class=\"verdict\">";
    for (const Verdict& said : sentences) {
      const char* const sign = said.mood == Mood::good ? "&#10003;" : said.mood == Mood::doubtful ? "?" : "!";
      out_ << "<li class=\"" << mood_name(said.mood) << "\"><b>" << sign << "</b> " << xml_text(said.text) << "</li>";
    }
    out_ << "</ul>\n";
  }

  /// The metrics whose names begin with the prefix, as one chart.
  std::string chart(const std::string& title, const std::string& prefix, std::set<std::string>& drawn) {
    std::vector<std::pair<std::string, const Curve*>> curves;
    for (const auto& [name, curve] : f_.metrics) {
      if (name != prefix && !name.starts_with(prefix + "_")) continue;
      drawn.insert(name);
      if (curves.size() < 16) curves.emplace_back(name, &curve);
    }
    return curves.empty() ? "" : line_chart(title, curves);
  }

  void charts() {
    std::set<std::string> drawn;
    std::string inside = chart("Loss", "loss", drawn) + chart("Images a second", "images_per_second", drawn) + chart("Learning rate", "lr", drawn);
    inside += score_charts();
    for (const auto& [name, curve] : f_.metrics) {
      if (!drawn.contains(name)) inside += line_chart(name, {{name, &curve}});
    }
    if (!inside.empty()) section("Curves over the steps", "<div class=\"charts\">" + inside + "</div>");
  }

  /// Evaluations over the steps: shares in one chart, others each in its own; dashed: bare pixels. Evaluations of one time are in the table alone.
  std::string score_charts() const {
    std::vector<std::pair<std::string, const Curve*>> shares;
    std::vector<Level> levels;
    std::string others;
    for (const auto& [name, curve] : f_.scores) {
      if (curve.count() < 2) continue;
      const bool share = is_share(name.substr(name.rfind(' ') + 1));
      if (share && shares.size() == 16) continue;
      if (share) shares.emplace_back(name, &curve);
      std::vector<Level> own;
      for (const Told& told : told_) {
        if (told.pixels && name == told.node + " " + told.value)
          (share ? levels : own).push_back({told.pixels_node, *told.pixels, share ? shares.size() - 1 : 0});
      }
      if (!share) others += line_chart(name, {{name, &curve}}, own);
    }
    return (shares.empty() ? "" : line_chart("Evaluations", shares, levels)) + others;
  }

  /// One row for each evaluation.
  std::string evaluation_table() const {
    if (told_.empty()) return "";
    std::ostringstream out;
    out << "<div class=\"wide\"><table><tr><th>evaluation</th><th>value</th><th>before training</th><th>last</th><th>change</th><th>best</th>"
           "<th>bare pixels</th></tr>";
    for (const Told& told : told_) {
      const auto cell = [&](const std::optional<double>& value) { return "<td>" + (value ? xml_text(told_value(told, *value)) : "") + "</td>"; };
      const std::string after = told.best ? " <span class=\"quiet\">step " + std::to_string(told.best_step) + "</span>" : "";
      out << "<tr><td>" << xml_text(told.node) << "</td><td>" << xml_text(told.value) << "</td>" << cell(told.start) << cell(told.last) << "<td>";
      if (told.start && told.last) {
        const double change = *told.last - *told.start;
        char text[32];
        std::snprintf(text, sizeof text, told.is_share() ? "%+.1f" : "%+.4g", told.is_share() ? 100 * change : change);
        out << text;
      }
      out << "</td><td>" << (told.best ? xml_text(told_value(told, *told.best)) + after : "") << "</td>" << cell(told.pixels) << "</tr>\n";
    }
    out << "</table></div>\n";
    return out.str();
  }

  void evaluations() {
    std::ostringstream inside;
    inside << evaluation_table();
    if (!f_.evaluations.empty()) inside << "<details><summary>All values, at all times</summary>\n";
    for (const auto& [node, rows] : f_.evaluations) {
      std::vector<std::string> columns;
      for (const ordered_json& row : rows) {
        for (const auto& [key, value] : row.items()) {
          if (std::find(columns.begin(), columns.end(), key) == columns.end() && columns.size() < 24) columns.push_back(key);
        }
      }
      inside << "<h3>" << xml_text(node) << "</h3><div class=\"wide\"><table><tr>";
      for (const std::string& column : columns) inside << "<th>" << xml_text(column) << "</th>";
      inside << "</tr>";
      for (const ordered_json& row : rows) {
        inside << "<tr>";
        for (const std::string& column : columns) inside << "<td>" << (row.contains(column) ? xml_text(shown(row[column])) : "") << "</td>";
        inside << "</tr>";
      }
      inside << "</table></div>\n";
    }
    if (!f_.evaluations.empty()) inside << "</details>\n";
    section("Evaluations", inside.str());
  }

  std::string feature_caption(const std::string& name, const ordered_json& node) const {
    std::string steps;
    for (const FeatureFile& file : spread(feature_files(f_.paths.root, words_at(node, "file")), node.value("columns", int64_t{10}))) {
      steps += (steps.empty() ? "" : ", ") + std::to_string(file.step);
    }
    const bool images = node.contains("in") && node["in"].is_object() && node["in"].contains("image");
    return "Drawn by " + name + ": patches of the first pictures, a row for each. From the left: " + (images ? "the picture; then " : "") +
           "the first three principal components of its patches as red, green and blue, after the steps " + steps +
           ". All have the basis of the newest step: equal colours mean similar features.";
  }

  /// What a contact sheet, or a picture of features, shows, as the node that drew it was set.
  std::string caption(const std::filesystem::path& picture) const {
    if (!f_.pipeline.is_object() || !f_.pipeline.contains("nodes")) return "";
    for (const auto& [name, node] : f_.pipeline["nodes"].items()) {
      if (words_at(node, "file") != picture.filename().string()) continue;
      if (words_at(node, "type") == "report.features") return feature_caption(name, node);
      if (!node.contains("count") || !node.contains("step")) continue;
      const bool masked = node.contains("in") && node["in"].is_object() && node["in"].contains("mask");
      return "Drawn by " + name + " from step " + shown(node["step"]) + ": its first pictures, a column for each. " +
             (masked ? "From the top: the crop as the batch holds it; what the student sees of it; the regions that it predicts, each in a colour of "
                       "its own."
                     : "The crops as the batch holds them.");
    }
    return "";
  }

  void pictures() {
    std::ostringstream inside;
    size_t left = most_picture_bytes;
    for (const auto& path : f_.pictures) {
      std::error_code error;
      const auto size = std::filesystem::file_size(path, error);
      inside << "<figure><figcaption>" << link(path) << "</figcaption><p class=\"quiet\">" << xml_text(caption(path)) << "</p>";
      if (!error && size <= left) {
        std::vector<uint8_t> bytes;
        io::read_file(path, bytes);
        left -= size;
        inside << "<img alt=\"\" src=\"data:image/png;base64," << base64(bytes) << "\">";
      } else {
        inside << "<p class=\"quiet\">too large to be shown here</p>";
      }
      inside << "</figure>\n";
    }
    section("Samples", inside.str());
  }

  /// Masks of the pipeline, not those of the run: the first groups of its first epoch.
  void masks() {
    constexpr int64_t groups = 32;
    std::ostringstream inside;
    try {
      CheckedPipeline pipeline = load_checked({.file = f_.paths.pipeline.string(), .sets = {}, .trust = trust_});
      for (CheckedNode* node : mask_nodes(pipeline)) {
        try {
          inside << "<div class=\"wide\">" << draw_masks(pipeline, *node, groups).picture << "</div>\n";
        } catch (const std::exception& error) {
          inside << "<p class=\"quiet\">No statistics: " << xml_text(error.what()) << "</p>\n";
        }
      }
    } catch (const std::exception&) {  // the graph's section gives the reason
    }
    section("Masks", inside.str());
  }

  void graph_and_time() {
    const bool timed = f_.stats.is_object() && f_.stats.contains("nodes") && f_.stats["nodes"].is_object();
    std::ostringstream inside;
    try {
      PipelineArgs args;
      args.file = f_.paths.pipeline.string();
      args.trust = trust_;
      const CheckedPipeline pipeline = load_checked(args);
      inside << "<div class=\"wide\">" << graph_svg(pipeline, timed ? time_shares(pipeline, f_.stats) : std::vector<double>()) << "</div>\n";
    } catch (const std::exception&) {
      inside << "<p class=\"quiet\">The graph can't be drawn: this program can't read the pipeline (a plug-in is missing or not trusted, see "
                "--trust, or it "
                "is of another version).</p>\n";
    }
    section("Graph", inside.str());
    if (timed) section("Where the time went", time_table());
  }

  std::string time_table() const {
    const ordered_json& nodes = f_.stats["nodes"];
    double sum = 0, most = 0;
    for (const auto& [name, node] : nodes.items()) sum += node.value("busy", 0.0), most = std::max(most, node.value("busy", 0.0));
    std::ostringstream out;
    out << "<p class=\"quiet\">Of " << duration(f_.stats.value("seconds", 0.0))
        << " since the last start. Busy: in the node, all threads together; the share is of all nodes. Waiting: how long the device had nothing to "
           "do before the node; how long the node was ready but had to wait for the device.</p><div class=\"wide\"><table "
           "class=\"time\"><tr><th>node</th><th>scope</th><th>calls</th><th>busy</th><th></th><th>share</th><th>p50</th><th>p95</th><th>device idle "
           "for it</th><th>waited for the device</th><th>waited for a slot</th><th>failures</th></tr>";
    std::vector<std::pair<double, std::string>> order;
    for (const auto& [name, node] : nodes.items()) order.emplace_back(-node.value("busy", 0.0), name);
    std::stable_sort(order.begin(), order.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
    for (const auto& [minus, name] : order) {
      const ordered_json& node = nodes[name];
      const auto time = [&](const char* key) { return duration(node.value(key, 0.0)); };
      const double busy = -minus;
      out << "<tr><td>" << xml_text(name) << "</td><td>" << xml_text(node.value("scope", "")) << "</td><td>" << node.value("count", int64_t{0})
          << "</td><td>" << duration(busy) << "</td><td class=\"bar\"><div style=\"width:" << short_number(most > 0 ? busy / most * 100 : 0)
          << "%\"></div></td><td>" << percent(sum > 0 ? busy / sum : 0) << "</td><td>" << time("p50") << "</td><td>" << time("p95") << "</td><td>"
          << time("wait_input") << "</td><td>" << time("wait_device") << "</td><td>" << time("wait_slot") << "</td><td>"
          << node.value("failures", int64_t{0}) << "</td></tr>\n";
    }
    out << "</table></div>\n";
    return out.str();
  }

  static std::string percent(double share) {
    char text[24];
    std::snprintf(text, sizeof text, "%.1f %%", share * 100);
    return text;
  }

  void quarantine() {
    if (f_.quarantined == 0) return;
    std::ostringstream inside;
    inside << "<p>" << f_.quarantined << (f_.quarantined == 1 ? " sample" : " samples")
           << " failed and were replaced, or were kept with a remark; all are in " << link(f_.paths.quarantine)
           << ".</p><div class=\"wide\"><table><tr><th>step</th><th>sample</th><th>key</th><th>error</th></tr>";
    for (const ordered_json& entry : f_.bad) {
      inside << "<tr><td>" << xml_text(part(entry, "step")) << "</td><td>" << xml_text(part(entry, "sample")) << "</td><td>"
             << xml_text(part(entry, "key")) << "</td><td>" << xml_text(part(entry, "error")) << (entry.contains("kept") ? " (kept)" : "")
             << "</td></tr>";
    }
    inside << "</table></div>";
    section("Samples that failed", inside.str());
  }

  /// Relative to the page, so that it works in any place.
  std::string link(const std::filesystem::path& path) const {
    const std::string name = path.lexically_relative(f_.paths.root).generic_string();
    return "<a href=\"" + base_ + url_path(name) + "\">" + xml_text(name) + "</a>";
  }

  void files() {
    std::ostringstream inside;
    if (!f_.checkpoints.empty())
      inside << "<p>Checkpoints in <code>" << xml_text(std::filesystem::absolute(f_.paths.root).string()) << "</code>:</p><ul>";
    for (const auto& path : f_.checkpoints) inside << "<li>" << link(path) << "</li>";
    if (f_.result.is_object() && f_.result.contains("best")) {
      const ordered_json& best = f_.result["best"];
      inside << "<li>" << link(f_.paths.root / best.value("checkpoint", "")) << ": the best by " << xml_text(part(best, "metric")) << ", "
             << xml_text(part(best, "value")) << "; <code>--best</code> of <code>flowrun export</code> and <code>embed</code> takes it</li>";
    }
    if (!f_.checkpoints.empty()) inside << "</ul>";
    if (!f_.pipeline.is_null()) {
      inside << "<details><summary>The resolved pipeline</summary><pre>" << xml_text(json_text(f_.pipeline, 2)) << "</pre></details>";
    }
    section("Files", inside.str());
  }

  const RunFacts& f_;
  const std::vector<Told> told_ = told_evaluations(f_);
  bool trust_;
  std::string base_;
  std::ostringstream out_, body_;
  std::vector<std::pair<std::string, std::string>> titles_;  // of sections: id and text
};

}  // namespace

void write_report(const std::filesystem::path& run, const std::filesystem::path& out, bool trust) {
  const RunFacts facts(run);
  io::write_file_atomic(out, Page(facts, std::filesystem::absolute(out).parent_path(), trust).write());
}

void try_report(const std::filesystem::path& run) {
  try {
    write_report(run, run / "report.html", /*trust=*/true);  // what it loads has been loaded
  } catch (const std::exception& error) {
    log_warning(std::string("no report.html: ") + error.what());
  }
}

}  // namespace flowrun::app
