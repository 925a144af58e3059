#include "tools/app/sweep/grid.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <nlohmann/json.hpp>

#include "graph/text/json_text.h"
#include "tools/app/text.h"

namespace flowrun::app {
namespace {

struct Choice {
  std::string name;  // empty: made of path and value
  std::string text;  // of the value, as JSON
};

/// A path with its values.
struct Axis {
  std::string path;
  std::string label;  // of the path, in names
  bool named = false;
  std::vector<Choice> choices;
  Location where;
};

constexpr const char* range_forms =
    "a range is {\"from\": 0.1, \"to\": 0.9, \"count\": 5}, with \"scale\": \"log\" for equal ratios, or {\"from\": 1, \"to\": 9, \"step\": 2}";

bool fits(char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '-' || c == '_' || c == '.'; }

/// Twelve digits: 0.1 + 0.2 is 0.3.
std::string number_text(double value, bool whole) {
  if (whole && value == std::nearbyint(value) && std::abs(value) < 1e15) return print("%.0f", value);
  return json_text(nlohmann::json(std::strtod(print("%.12g", value).c_str(), nullptr)));
}

/// A member of a range that must be a number; faults are reported, and 0 returned.
double number_of(const Value& range, const char* key, Diagnostics& faults) {
  const Value* const value = range.find(key);
  if (value != nullptr && value->is_number()) return value->real;
  faults.error(value != nullptr ? value->where : range.where, std::string(key) + " of a range must be a number", range_forms);
  return 0;
}

std::vector<double> counted(const Value& range, double from, double to, bool log, Diagnostics& faults) {
  const Value& count = *range.find("count");
  const bool right = count.is(Value::Kind::integer) && count.integer >= 2 && count.integer <= static_cast<int64_t>(most_runs);
  if (!right) faults.error(count.where, "count of a range must be an integer from 2 to " + std::to_string(most_runs), "both ends are in the range");
  if (log && (from <= 0 || to <= 0)) faults.error(range.where, "a range of scale log is between numbers above 0");
  if (!right || (log && (from <= 0 || to <= 0))) return {};
  std::vector<double> out;
  for (int64_t i = 0; i < count.integer; ++i) {
    const double part = static_cast<double>(i) / static_cast<double>(count.integer - 1);
    if (i == 0 || i + 1 == count.integer) {
      out.push_back(i == 0 ? from : to);
    } else {
      out.push_back(log ? from * std::pow(to / from, part) : from + (to - from) * part);
    }
  }
  return out;
}

std::vector<double> stepped(const Value& range, double from, double to, Diagnostics& faults) {
  const double step = number_of(range, "step", faults), steps = step == 0 ? -1 : (to - from) / step;
  if (steps < 0 || steps >= static_cast<double>(most_runs)) {
    faults.error(range.find("step")->where, print("no steps of %g lead from %g to %g", step, from, to) + (steps > 0 ? " (there are too many)" : ""));
    return {};
  }
  std::vector<double> out;
  for (int64_t i = 0; static_cast<double>(i) <= steps + 1e-9; ++i) out.push_back(from + static_cast<double>(i) * step);
  return out;
}

std::vector<Choice> range_choices(const Value& range, Diagnostics& faults) {
  const size_t before = faults.count();
  const std::vector<std::string> known = {"from", "to", "count", "step", "scale"};
  for (const Member& member : range.members) {
    if (std::find(known.begin(), known.end(), member.key) != known.end()) continue;
    faults.error(member.key_where, "unknown key \"" + member.key + "\" of a range", did_you_mean(member.key, known) + range_forms);
  }
  const Value* const scale = range.find("scale");
  const bool log = scale != nullptr && scale->string == "log";
  if (scale != nullptr && (!scale->is(Value::Kind::string) || (scale->string != "log" && scale->string != "linear")))
    faults.error(scale->where, "scale of a range is \"linear\" or \"log\"");
  const bool has_count = range.find("count") != nullptr, has_step = range.find("step") != nullptr;
  if (has_count == has_step) faults.error(range.where, "a range has either count or step", range_forms);
  if (log && has_step) faults.error(scale->where, "a range of scale log has a count, not a step", range_forms);
  const double from = number_of(range, "from", faults), to = number_of(range, "to", faults);
  if (faults.count() != before) return {};
  const auto is_whole = [&](const char* key) { return range.find(key)->is(Value::Kind::integer); };
  const bool whole = is_whole("from") && is_whole("to") && (has_count || is_whole("step"));
  std::vector<Choice> out;
  for (const double value : has_count ? counted(range, from, to, log, faults) : stepped(range, from, to, faults))
    out.push_back({"", number_text(value, whole)});
  return out;
}

std::vector<Choice> choices_of(const std::string& path, const Value& values, Diagnostics& faults) {
  const size_t before = faults.count();
  std::vector<Choice> out;
  if (values.is(Value::Kind::object) && values.find("from") != nullptr) return range_choices(values, faults);
  if (values.is(Value::Kind::object)) {
    for (const Member& member : values.members) {
      if (!is_folder_name(member.key))
        faults.error(member.key_where,
                     "the name \"" + member.key + "\" of a value becomes part of a folder's name: use letters, digits, - _ and . only");
      out.push_back({member.key, json_text(to_json(member.value))});
    }
  } else if (values.is(Value::Kind::array)) {
    for (const Value& item : values.items) out.push_back({"", json_text(to_json(item))});
  }
  if (out.empty() && faults.count() == before)
    faults.error(values.where, path + " needs values: a list, an object from name to value, or a range",
                 "such as [0.25, 0.5]; " + std::string(range_forms));
  return out;
}

/// The last words of each path that tell it from the others: "ratio" of "mask.ratio".
void label(std::vector<Axis>& axes) {
  const auto tail = [](const std::string& path, size_t words) {
    size_t begin = path.size();
    for (size_t n = 0; n < words && begin != 0; ++n) {
      const size_t dot = path.rfind('.', begin - 1);
      begin = dot == std::string::npos ? 0 : dot;
    }
    return folder_name(path.substr(begin == 0 ? 0 : begin + 1));
  };
  for (Axis& axis : axes) {
    for (size_t words = 1; words <= 8; ++words) {
      axis.label = tail(axis.path, words);
      const auto same = std::count_if(axes.begin(), axes.end(), [&](const Axis& other) { return tail(other.path, words) == axis.label; });
      if (same == 1) break;
    }
  }
}

std::string name_of(const Axis& axis, const Choice& choice) { return axis.named ? choice.name : axis.label + "-" + folder_name(choice.text); }

std::vector<Axis> axes_of(const Value& object, const std::string& where, Diagnostics& faults) {
  std::vector<Axis> out;
  if (!object.is(Value::Kind::object) || object.members.empty()) {
    faults.error(object.where, where + " must be an object from path to values", "such as {\"mask.ratio\": [0.25, 0.5]}");
    return out;
  }
  for (const Member& member : object.members) {
    const bool named = member.value.is(Value::Kind::object) && member.value.find("from") == nullptr;
    out.push_back({member.key, "", named, choices_of(member.key, member.value, faults), member.value.where});
  }
  label(out);
  return out;
}

}  // namespace

std::string path_of(const std::string& set) { return set.substr(0, set.find('=')); }

bool is_folder_name(const std::string& name) { return !name.empty() && name[0] != '.' && std::all_of(name.begin(), name.end(), fits); }

std::string folder_name(const std::string& text) {
  std::string out;
  for (const char c : text) {
    const char next = fits(c) ? c : '-';
    if (next != '-' || c == '-' || (!out.empty() && out.back() != '-')) out += next;
  }
  while (out.size() > 1 && out.back() == '-') out.pop_back();
  while (!out.empty() && out[0] == '.') out.erase(0, 1);
  return out.substr(0, 60);
}

std::vector<Point> grid_points(const Value& grid, Diagnostics& faults) {
  std::vector<Point> out = {{}};
  for (const Axis& axis : axes_of(grid, "grid", faults)) {
    if (axis.choices.size() * out.size() > most_runs) {
      faults.error(axis.where, "the grid has more than " + std::to_string(most_runs) + " points");
      return out;
    }
    std::vector<Point> longer;
    for (const Point& point : out) {
      for (const Choice& choice : axis.choices) {
        longer.push_back(point);
        longer.back().name += (point.name.empty() ? "" : "_") + name_of(axis, choice);
        longer.back().sets.push_back(axis.path + "=" + choice.text);
      }
    }
    out = std::move(longer);
  }
  return out;
}

std::vector<Point> zip_points(const Value& zip, Diagnostics& faults) {
  const size_t before = faults.count();
  const std::vector<Axis> axes = axes_of(zip, "zip", faults);
  for (size_t a = 1; a < axes.size() && faults.count() == before; ++a) {
    if (axes[a].choices.size() == axes[0].choices.size()) continue;
    const auto count = [](const Axis& axis) { return axis.path + " has " + std::to_string(axis.choices.size()); };
    faults.error(axes[a].where, "values of zip go together, but " + count(axes[0]) + " and " + count(axes[a]),
                 "give both as many; \"grid\" takes every combination");
  }
  if (faults.count() != before) return {};
  const bool any_named = std::any_of(axes.begin(), axes.end(), [](const Axis& axis) { return axis.named; });
  std::vector<Point> out(axes[0].choices.size());
  for (size_t i = 0; i < out.size(); ++i) {
    for (const Axis& axis : axes) {
      out[i].sets.push_back(axis.path + "=" + axis.choices[i].text);
      if (!any_named || axis.named) out[i].name += (out[i].name.empty() ? "" : "_") + name_of(axis, axis.choices[i]);
    }
  }
  return out;
}

std::vector<std::string> sets_of(const Value& object, const std::string& where, Diagnostics& faults) {
  std::vector<std::string> sets;
  if (!object.is(Value::Kind::object)) faults.error(object.where, where + " must be an object from path to value", "such as {\"mask.regions\": 1}");
  for (const Member& member : object.members) sets.push_back(member.key + "=" + json_text(to_json(member.value)));
  return sets;
}

}  // namespace flowrun::app
