#include "graph/contract/params.h"

#include <cmath>
#include <nlohmann/json.hpp>

#include "graph/text/json_text.h"

namespace flowrun {
namespace {

std::string number_text(double value) {
  return value == std::floor(value) && std::abs(value) < 1e15 ? std::to_string(static_cast<int64_t>(value)) : json_text(nlohmann::json(value));
}

std::string range_text(const Range& range) {
  if (std::isinf(range.low) && std::isinf(range.high)) return "";
  if (std::isinf(range.high)) return "at least " + number_text(range.low);
  if (std::isinf(range.low)) return "at most " + number_text(range.high);
  return "between " + number_text(range.low) + " and " + number_text(range.high);
}

/// The upper bound of integers whose range has none: the product of any two fits into 64 bits.
constexpr int64_t most_without_bound = 2147483647;

std::vector<std::array<double, 2>> in_pairs(const std::vector<double>& values) {
  std::vector<std::array<double, 2>> out;
  for (size_t i = 0; i + 1 < values.size(); i += 2) out.push_back({values[i], values[i + 1]});
  return out;
}

class Reader final : public ParamVisitor {
 public:
  Reader(const Value& object, std::string owner, std::string type, Diagnostics& faults)
      : owner_(std::move(owner)), type_(std::move(type)), faults_(faults) {
    objects_.push_back({&object, "", {}});
  }

  void visit(const ParamInfo& info, bool& value) override {
    if (const Value* v = take(info)) {
      v->is(Value::Kind::boolean) ? void(value = v->boolean) : wrong(*v, info, "true or false");
    }
  }
  void visit(const ParamInfo& info, int64_t& value) override {
    const Value* v = take(info);
    if (!v) return;
    if (info.has_auto && v->is(Value::Kind::string) && v->string == "auto") {
      value = automatic;
    } else {
      read(*v, info, value);
    }
  }
  void visit(const ParamInfo& info, double& value) override {
    if (const Value* v = take(info)) read(*v, info, value);
  }
  void visit(const ParamInfo& info, std::string& value) override {
    if (const Value* v = take(info)) read(*v, info, value);
  }
  void visit(const ParamInfo& info, std::vector<int64_t>& value) override { list(info, value, "integers"); }
  void visit(const ParamInfo& info, std::vector<double>& value) override {
    if (info.pairs) return read_pairs(info, value);
    if (!info.one_or_more) return list(info, value, "numbers");
    const Value* v = take(info);
    if (!v) return;
    if (!v->is_number() && (!v->is(Value::Kind::array) || v->items.empty())) return wrong(*v, info, "a number, or a list of numbers");
    value.clear();
    for (const Value& item : v->is_number() ? std::vector{*v} : v->items) read(item, info, value.emplace_back());
  }
  void visit(const ParamInfo& info, std::vector<std::string>& value) override { list(info, value, "strings"); }

  void visit(const ParamInfo& info, Models& models, Models::Access, bool many) override {
    const Value* v = take(info);
    if (!v) return;
    models.names.clear();
    models.where.clear();
    const auto add = [&](const Value& item) {
      if (!item.is(Value::Kind::string)) return wrong(item, info, "the name of a model");
      models.names.push_back(item.string);
      models.where.push_back(item.where);
    };
    if (many && v->is(Value::Kind::array)) {
      for (const Value& item : v->items) add(item);
      if (v->items.empty()) faults_.error(v->where, owner_ + ": " + objects_.back().path + info.name + " must name at least one model");
    } else {
      add(*v);
    }
  }

  bool begin_object(const ParamInfo& info) override {
    const Value* v = take(info);
    if (!v) return false;
    if (info.plain != nullptr && v->is_number()) {
      check(*v, info);
      *info.plain = v->real;
      return false;
    }
    if (!v->is(Value::Kind::object)) {
      wrong(*v, info, info.plain != nullptr ? "a number or an object" : "an object");
      return false;
    }
    if (info.plain != nullptr) info.plain->reset();
    objects_.push_back({v, objects_.back().path + info.name + ".", {}});
    return true;
  }
  void end_object() override {
    report_unknown({});
    objects_.pop_back();
  }

  void report_unknown(const std::vector<std::string>& reserved) {
    const Open& open = objects_.back();
    for (const Member& member : open.object->members) {
      const auto has = [&](const std::vector<std::string>& names) { return std::find(names.begin(), names.end(), member.key) != names.end(); };
      if (has(reserved) || has(open.known)) continue;
      std::vector<std::string> candidates = open.known;
      candidates.insert(candidates.end(), reserved.begin(), reserved.end());
      std::string hint = did_you_mean(member.key, candidates);
      hint += (type_.empty() ? owner_ : type_) + (open.path.empty() ? "" : " " + open.path.substr(0, open.path.size() - 1));
      hint += open.known.empty() ? " takes no parameters" : " takes: " + join(open.known);
      if (!type_.empty()) hint += "    (flowrun help " + type_ + ")";
      faults_.error(member.key_where, owner_ + ": unknown parameter \"" + open.path + member.key + "\"", hint);
    }
  }

 private:
  struct Open {
    const Value* object;
    std::string path;
    std::vector<std::string> known;
  };

  const Value* take(const ParamInfo& info) {
    Open& open = objects_.back();
    open.known.emplace_back(info.name);
    const Value* v = open.object->find(info.name);
    if (!v && info.required) {
      faults_.error(open.object->where, owner_ + ": parameter \"" + open.path + info.name + "\" is missing",
                    std::string(info.name) + ": " + info.brief + (type_.empty() ? "" : "    (flowrun help " + type_ + ")"));
    }
    return v;
  }

  void wrong(const Value& v, const ParamInfo& info, const std::string& wanted) {
    faults_.error(v.where, owner_ + ": " + objects_.back().path + info.name + " must be " + wanted + ", not " +
                               (v.is(Value::Kind::real) ? number_text(v.real) : kind_name(v.kind)));
  }

  void check(const Value& v, const ParamInfo& info) {
    if (v.real < info.range.low || v.real > info.range.high) {
      faults_.error(v.where,
                    owner_ + ": " + objects_.back().path + info.name + " must be " + range_text(info.range) + ", not " + number_text(v.real));
    }
  }

  void read(const Value& v, const ParamInfo& info, int64_t& value) {
    const bool whole = v.is(Value::Kind::real) && v.real == std::floor(v.real) && std::abs(v.real) < 1e15;
    if (!v.is(Value::Kind::integer) && !whole) return wrong(v, info, info.has_auto ? "an integer or \"auto\"" : "an integer");
    check(v, info);
    if (std::isinf(info.range.high) && v.real > static_cast<double>(most_without_bound)) {
      faults_.error(v.where, owner_ + ": " + objects_.back().path + info.name + " must be at most " + std::to_string(most_without_bound) + ", not " +
                                 (whole ? number_text(v.real) : std::to_string(v.integer)));
    }
    value = whole ? static_cast<int64_t>(v.real) : v.integer;
  }
  void read(const Value& v, const ParamInfo& info, double& value) {
    if (!v.is_number()) return wrong(v, info, "a number");
    check(v, info);
    value = v.real;
  }
  void read(const Value& v, const ParamInfo& info, std::string& value) {
    if (!v.is(Value::Kind::string)) return wrong(v, info, "a string");
    if (info.choices && std::find(info.choices->begin(), info.choices->end(), v.string) == info.choices->end()) {
      faults_.error(v.where, owner_ + ": " + objects_.back().path + info.name + " can't be \"" + v.string + "\"",
                    did_you_mean(v.string, *info.choices) + "one of: " + join(*info.choices));
      return;
    }
    value = v.string;
  }

  template <class T>
  void list(const ParamInfo& info, std::vector<T>& value, const char* what) {
    const Value* v = take(info);
    if (!v) return;
    if (!v->is(Value::Kind::array)) return wrong(*v, info, std::string("a list of ") + what);
    value.clear();
    for (const Value& item : v->items) {
      T element{};
      read(item, info, element);
      value.push_back(element);
    }
  }

  void read_pairs(const ParamInfo& info, std::vector<double>& value) {
    const Value* v = take(info);
    if (!v) return;
    if (!v->is(Value::Kind::array)) return wrong(*v, info, "a list of pairs of numbers");
    value.clear();
    for (const Value& item : v->items) {
      if (!item.is(Value::Kind::array)) return wrong(item, info, "a list of pairs of numbers");
      if (item.items.size() != 2) {
        faults_.error(item.where, owner_ + ": " + objects_.back().path + info.name + " holds pairs of numbers, not lists of " +
                                      std::to_string(item.items.size()));
        return;
      }
      for (const Value& number : item.items) read(number, info, value.emplace_back());
    }
  }

  std::string owner_, type_;
  Diagnostics& faults_;
  std::vector<Open> objects_;
};

class Writer final : public ParamVisitor {
 public:
  nlohmann::ordered_json root = nlohmann::ordered_json::object();

  void visit(const ParamInfo& info, bool& value) override { put(info, value); }
  void visit(const ParamInfo& info, int64_t& value) override {
    if (info.has_auto && value == automatic) return put(info, "auto");
    put(info, value);
  }
  void visit(const ParamInfo& info, double& value) override { put(info, value); }
  void visit(const ParamInfo& info, std::string& value) override { put(info, value); }
  void visit(const ParamInfo& info, std::vector<int64_t>& value) override { put(info, value); }
  void visit(const ParamInfo& info, std::vector<double>& value) override {
    if (info.pairs) return put(info, in_pairs(value));
    info.one_or_more&& value.size() == 1 ? put(info, value[0]) : put(info, value);
  }
  void visit(const ParamInfo& info, std::vector<std::string>& value) override { put(info, value); }
  void visit(const ParamInfo& info, Models& models, Models::Access, bool many) override {
    if (many) {
      put(info, models.names);
    } else if (!models.names.empty()) {
      put(info, models.names[0]);
    }
  }
  bool begin_object(const ParamInfo& info) override {
    if (info.plain != nullptr && *info.plain) {
      put(info, **info.plain);
      return false;
    }
    nlohmann::ordered_json& child = top()[info.name] = nlohmann::ordered_json::object();
    stack_.push_back(&child);
    return true;
  }
  void end_object() override { stack_.pop_back(); }

 private:
  nlohmann::ordered_json& top() { return stack_.empty() ? root : *stack_.back(); }
  void put(const ParamInfo& info, const auto& value) { top()[info.name] = value; }
  std::vector<nlohmann::ordered_json*> stack_;
};

class Documenter final : public ParamVisitor {
 public:
  std::vector<ParamDoc> root;

  void visit(const ParamInfo& info, bool& value) override { add(info, "true or false", value); }
  void visit(const ParamInfo& info, int64_t& value) override {
    if (!info.has_auto) return add(info, "integer", value);
    add(info, "integer or auto", value);
    if (value == automatic) top().back().initial = "\"auto\"";
  }
  void visit(const ParamInfo& info, double& value) override { add(info, "number", value); }
  void visit(const ParamInfo& info, std::string& value) override { add(info, "string", value); }
  void visit(const ParamInfo& info, std::vector<int64_t>& value) override { add(info, "list of integers", value); }
  void visit(const ParamInfo& info, std::vector<double>& value) override {
    if (info.pairs) return add(info, "list of pairs", in_pairs(value));
    if (!info.one_or_more) return add(info, "list of numbers", value);
    value.size() == 1 ? add(info, "number or list", value[0]) : add(info, "number or list", value);
  }
  void visit(const ParamInfo& info, std::vector<std::string>& value) override { add(info, "list of strings", value); }
  void visit(const ParamInfo& info, Models& models, Models::Access access, bool many) override {
    add(info, many ? "models" : "model", nullptr);
    top().back().model = models.kind;
    top().back().access = access == Models::Access::reads ? "reads" : "writes";
  }
  bool begin_object(const ParamInfo& info) override {
    if (info.plain != nullptr && *info.plain) {
      add(info, "number or object", **info.plain);
    } else {
      add(info, "object", nullptr);
      top().back().initial.clear();
    }
    path_.push_back(&top().back().members);
    return true;
  }
  void end_object() override { path_.pop_back(); }

 private:
  std::vector<ParamDoc>& top() { return path_.empty() ? root : *path_.back(); }
  void add(const ParamInfo& info, const char* kind, const auto& value) {
    ParamDoc doc{.name = info.name,
                 .brief = info.brief,
                 .kind = kind,
                 .range = info.range,
                 .required = info.required,
                 .incidental = info.incidental,
                 .movable = info.movable};
    if (info.choices) doc.choices = *info.choices;
    if (!info.required) doc.initial = json_text(nlohmann::json(value));
    top().push_back(std::move(doc));
  }
  std::vector<std::vector<ParamDoc>*> path_;
};

}  // namespace

void read_params(ParamSet& params, const Value& object, const std::vector<std::string>& reserved, const std::string& owner, const std::string& type,
                 Diagnostics& faults) {
  Reader reader(object, owner, type, faults);
  params.describe(reader);
  reader.report_unknown(reserved);
}

nlohmann::ordered_json write_params(ParamSet& params) {
  Writer writer;
  params.describe(writer);
  return std::move(writer.root);
}

std::vector<ParamDoc> document_params(ParamSet& params) {
  Documenter documenter;
  params.describe(documenter);
  return std::move(documenter.root);
}

}  // namespace flowrun
