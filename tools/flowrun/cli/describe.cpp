// help, doc: the declarations of all types, for people.
#include "tools/flowrun/cli/describe.h"

#include <filesystem>
#include <iostream>
#include <map>
#include <set>
#include <sstream>

#include "graph/text/json_text.h"
#include "io/file.h"
#include "tools/app/load/load.h"
#include "tools/app/load/schema.h"
#include "tools/app/sweep/schema.h"

namespace flowrun::cli {
namespace {

using nlohmann::ordered_json;

std::string family(const std::string& type) { return type.substr(0, type.find('.')); }

std::string number(double value) {
  std::ostringstream out;
  out << value;
  return out.str();
}

/// "0 to 1", "at least 1", or nothing.
std::string range_text(const Range& range) {
  const bool low = std::isfinite(range.low), high = std::isfinite(range.high);
  if (low && high) return number(range.low) + " to " + number(range.high);
  if (low) return "at least " + number(range.low);
  if (high) return "at most " + number(range.high);
  return "";
}

/// The allowed values: "number, 0 to 1", "bicubic | bilinear", "model (vit), reads".
std::string kind_text(const ParamDoc& param) {
  if (!param.choices.empty()) return join(param.choices, " | ");
  std::string text = param.kind;
  if (!param.access.empty()) text += (param.model.empty() ? "" : " (" + param.model + ")") + ", " + param.access;
  const std::string range = range_text(param.range);
  return range.empty() ? text : text + ", " + range;
}

std::string default_text(const ParamDoc& param) {
  if (param.required) return "required";
  return param.kind == "object" ? "" : param.initial;
}

/// Members of objects follow their object, with their path as name.
void flatten(const std::vector<ParamDoc>& params, const std::string& prefix, std::vector<ParamDoc>& out) {
  for (ParamDoc param : params) {
    param.name = prefix + param.name;
    const std::vector<ParamDoc> members = std::move(param.members);
    out.push_back(param);
    flatten(members, param.name + ".", out);
  }
}

/// A node or model type, as pages show it.
struct Entry {
  std::string type, brief, details, when;
  std::vector<PortDoc> ports;
  std::vector<ParamDoc> params;
  std::string kind = "node";
  std::optional<std::vector<std::string>> reports;  // of an evaluation that declares them
};

std::string when_text(const NodeType& type) {
  static const std::map<Scope, const char*> texts = {{Scope::source, "per sample, emits it; any thread"},
                                                     {Scope::sample, "per sample; any thread, any order"},
                                                     {Scope::batch, "per group of samples, on the host; any thread, any order"},
                                                     {Scope::device, "per group, on the device, in order"},
                                                     {Scope::whole, "per step, between device nodes of its groups; on the device, in order"},
                                                     {Scope::step, "per step, on the device, in order"},
                                                     {Scope::evaluation, "per evaluation, when its streams have passed"}};
  return std::string(texts.at(type.info.scope)) + (type.info.moment != Moment::work ? ", after all others" : "");
}

std::vector<Entry> entries() {
  std::vector<Entry> out;
  for (const NodeType* type : node_types()) {
    Entry entry{type->info.type, type->info.brief, type->info.details, when_text(*type), type->ports, {}};
    flatten(type->params, "", entry.params);
    if (type->info.scope == Scope::evaluation) {
      entry.reports = type->reports;
      entry.params.push_back({.name = "at",
                              .brief = "When it is made: \"start\", \"end\", \"N epochs\", \"N steps\", or a list of them.",
                              .kind = "string or list of strings",
                              .initial = "\"end\""});
    }
    out.push_back(std::move(entry));
  }
  for (const ModelType* type : model_types()) {
    Entry entry{type->info.type, type->info.brief, type->info.details, "", {}, {}, "model"};
    flatten(type->params, "", entry.params);
    out.push_back(std::move(entry));
  }
  RunParams run;
  ParamSetOf<RunParams> set(run);
  Entry entry{"run", "How a pipeline is run: its section \"run\".", "", "", {}, {}, "section"};
  flatten(document_params(set), "", entry.params);
  out.push_back(std::move(entry));
  return out;
}

std::string example(const Entry& entry) {
  if (entry.kind == "section") return "";
  std::string text = "{ \"type\": \"" + entry.type + "\"";
  std::vector<std::string> in;
  for (const PortDoc& port : entry.ports) {
    if (port.input && !port.optional) in.push_back("\"" + port.name + (port.list ? "\": [ … ]" : "\": …"));
  }
  if (!in.empty()) text += ", \"in\": { " + join(in) + " }";
  for (const ParamDoc& param : entry.params) {
    if (param.required) text += ", \"" + param.name + "\": …";
  }
  return text + " }";
}

std::string type_name(const PortDoc& port) { return std::string(port.list ? "list of " : "") + port.type->name; }

std::string port_name(const PortDoc& port) { return port.name + (port.optional ? " (optional)" : ""); }

/// "accuracy, accuracy_k*"; each between `around`.
std::string reports_text(const Entry& entry, const std::string& around) {
  if (!entry.reports) return "";
  std::vector<std::string> names;
  for (const std::string& name : *entry.reports) names.push_back(around + name + around);
  return join(names);
}

std::string page(const Entry& entry) {
  std::ostringstream out;
  out << "## " << entry.type << "\n\n" << entry.brief << "\n";
  if (!entry.details.empty()) out << "\n" << entry.details << "\n";
  if (!entry.when.empty()) out << "\nRuns " << entry.when << ".\n";
  if (const std::string names = reports_text(entry, "`"); !names.empty()) out << "\nMay report " << names << ".\n";
  if (const std::string text = example(entry); !text.empty()) out << "\n```\n" << text << "\n```\n";
  for (const bool input : {true, false}) {
    bool first = true;
    for (const PortDoc& port : entry.ports) {
      if (port.input != input) continue;
      if (first) out << "\n| " << (input ? "in" : "out") << " | type | |\n|---|---|---|\n";
      first = false;
      out << "| `" << port.name << "`" << (port.optional ? " (optional)" : "") << " | " << type_name(port) << " | " << port.brief << " |\n";
    }
  }
  if (!entry.params.empty()) out << "\n| parameter | value | default | |\n|---|---|---|---|\n";
  for (const ParamDoc& param : entry.params) {
    std::string kind = kind_text(param);
    for (size_t at = 0; (at = kind.find('|', at)) != std::string::npos; at += 2) kind.insert(at, "\\");
    const std::string initial = default_text(param);
    out << "| `" << param.name << "` | " << kind << " | " << (param.required || initial.empty() ? initial : "`" + initial + "`") << " | "
        << param.brief << " |\n";
  }
  return out.str();
}

std::string wrapped(const std::string& text, size_t width = 100) {
  std::istringstream words(text);
  std::string out, line;
  for (std::string word; words >> word;) {
    if (!line.empty() && line.size() + 1 + word.size() > width) out += line + "\n", line.clear();
    line += (line.empty() ? "" : " ") + word;
  }
  return out + line + "\n";
}

void print_entry(const Entry& entry) {
  std::ostream& out = std::cout;
  out << entry.type << "\n\n" << wrapped(entry.brief);
  if (!entry.details.empty()) out << "\n" << wrapped(entry.details);
  if (!entry.when.empty()) out << "\nruns  " << entry.when << "\n";
  if (const std::string names = reports_text(entry, ""); !names.empty()) out << "may report  " << names << "\n";
  size_t width = 0;
  for (const PortDoc& port : entry.ports) width = std::max(width, port_name(port).size());
  for (const PortDoc& port : entry.ports) {
    const std::string name = port_name(port);
    out << (port.input ? "in    " : "out   ") << name << std::string(width + 2 - name.size(), ' ') << type_name(port) << ": " << port.brief << "\n";
  }
  if (!entry.params.empty()) out << "\nparameters\n";
  for (const ParamDoc& param : entry.params) {
    const std::string initial = default_text(param);
    out << "  " << param.name << "  " << kind_text(param)
        << (initial.empty()  ? ""
            : param.required ? " (required)"
                             : " (" + initial + ")")
        << "\n      " << param.brief << "\n";
  }
}

ordered_json param_json(const ParamDoc& param) {
  ordered_json out = {{"name", param.name}, {"brief", param.brief}, {"kind", param.kind}};
  if (!param.choices.empty()) out["choices"] = param.choices;
  if (!param.access.empty()) out["access"] = param.access;
  if (!param.model.empty()) out["model"] = param.model;
  if (std::isfinite(param.range.low)) out["low"] = param.range.low;
  if (std::isfinite(param.range.high)) out["high"] = param.range.high;
  if (param.required) out["required"] = true;
  if (!param.required && !param.initial.empty()) out["default"] = json_of(param.initial);
  return out;
}

ordered_json entry_json(const Entry& entry) {
  ordered_json out = {{"type", entry.type}, {"kind", entry.kind}, {"brief", entry.brief}, {"details", entry.details}, {"runs", entry.when}};
  if (entry.reports) out["reports"] = *entry.reports;
  out["ports"] = ordered_json::array();
  for (const PortDoc& port : entry.ports) {
    out["ports"].push_back({{"name", port.name},
                            {"direction", port.input ? "in" : "out"},
                            {"type", port.type->name},
                            {"brief", port.brief},
                            {"optional", port.optional},
                            {"list", port.list}});
  }
  out["params"] = ordered_json::array();
  for (const ParamDoc& param : entry.params) out["params"].push_back(param_json(param));
  return out;
}

void print_list(const std::vector<Entry>& all) {
  std::string last;
  for (const Entry& entry : all) {
    if (family(entry.type) != last) std::cout << (last.empty() ? "" : "\n") << (last = family(entry.type)) << "\n";
    std::cout << "  " << entry.type << std::string(std::max<size_t>(24, entry.type.size() + 2) - entry.type.size(), ' ') << entry.brief << "\n";
  }
  std::cout << "\nflowrun help TYPE shows ports and parameters; flowrun --help the commands\n";
}

}  // namespace

int help(const TypeArgs& args) {
  app::open_plugins(args.plugins);
  const std::vector<Entry> all = entries();
  if (args.type.empty()) {
    if (!args.json) return print_list(all), 0;
    ordered_json list = ordered_json::array();
    for (const Entry& entry : all) list.push_back(entry_json(entry));
    std::cout << json_text(list, 2) << '\n';
    return 0;
  }
  std::vector<std::string> names;
  for (const Entry& entry : all) {
    names.push_back(entry.type);
    if (entry.type != args.type) continue;
    args.json ? void(std::cout << json_text(entry_json(entry), 2) << '\n') : print_entry(entry);
    return 0;
  }
  std::vector<Entry> of_family;
  std::copy_if(all.begin(), all.end(), std::back_inserter(of_family), [&](const Entry& entry) { return family(entry.type) == args.type; });
  if (!of_family.empty() && !args.json) return print_list(of_family), 0;
  if (!of_family.empty()) {
    ordered_json list = ordered_json::array();
    for (const Entry& entry : of_family) list.push_back(entry_json(entry));
    std::cout << json_text(list, 2) << '\n';
    return 0;
  }
  const std::string hint = did_you_mean(args.type, names);
  throw PipelineError("error: no type \"" + args.type + "\"\n  " + (hint.empty() ? "" : hint) + "flowrun help lists all");
}

int schema(const TypeArgs& args) {
  app::open_plugins(args.plugins);
  std::cout << json_text(args.sweep ? app::sweep_schema() : app::pipeline_schema(), 0) << '\n';
  return 0;
}

int doc(const TypeArgs& args) {
  app::open_plugins(args.plugins);
  std::filesystem::create_directories(args.folder);
  std::map<std::string, std::string> pages;
  std::string index = "# Node and model types\n\nMade by `flowrun doc` from the declarations in the code; `flowrun help TYPE` shows the same.\n";
  std::string last;
  for (const Entry& entry : entries()) {
    std::string& text = pages[family(entry.type)];
    if (text.empty()) text = "# " + family(entry.type) + "\n\nMade by `flowrun doc`; change the declarations, not this page.\n";
    text += "\n" + page(entry);
    if (family(entry.type) != last) index += "\n**[" + family(entry.type) + "](" + family(entry.type) + ".md)**\n\n";
    last = family(entry.type);
    index += "- `" + entry.type + "`: " + entry.brief + "\n";
  }
  for (const auto& [name, text] : pages) io::write_file_atomic(std::filesystem::path(args.folder) / (name + ".md"), text);
  io::write_file_atomic(std::filesystem::path(args.folder) / "README.md", index);
  return 0;
}

}  // namespace flowrun::cli
