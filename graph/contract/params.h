// One describe() per parameter set, used by the parser, the range check, help, the JSON Schema, the generated pages and
// the resolved pipeline.
//
//   struct Params {
//     double p = 0.5;
//     void describe(auto& param) { param("p", p, Range{0, 1}, "Chance of a flip."); }
//   };
//
// Kinds: bool, int64_t, double, std::string (free, or one of Choices), std::vector of int64_t/double/std::string, pairs of numbers,
// a struct with a describe() of its own (an object; with a member `std::optional<double> plain`, a number or an object), Models (names of models that
// the node reads or writes).
#pragma once

#include <cstdint>
#include <limits>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "graph/text/json.h"

namespace flowrun {

/// Bounds of a number, both included.
struct Range {
  double low = -std::numeric_limits<double>::infinity();
  double high = std::numeric_limits<double>::infinity();
};
inline constexpr Range positive{1};
inline constexpr Range not_negative{0};
/// Any integer that fits: the program computes nothing with it.
inline constexpr Range any_seed{0, 9223372036854774784.0};
/// The upper bound of integers whose range has none: the product of any two fits into 64 bits.
inline constexpr int64_t most_without_bound = 2147483647;

using Choices = std::vector<std::string>;

class Resource;  // state.h

/// A reference to models by name; nodes declare it as Ref<T>.
struct Models {
  enum class Access { reads, writes };
  const char* kind = "";  // what the models must be; empty: anything
  std::vector<std::string> names;
  std::vector<Location> where;
  std::vector<Resource*> resources;  // bound before open()
};

/// Models of class T (a Resource with `static constexpr const char* kind`).
template <class T>
struct Ref : Models {
  Ref() { kind = T::kind; }
  T& operator*() const { return dynamic_cast<T&>(*resources.at(0)); }
  T* operator->() const { return &**this; }
  T& operator[](size_t i) const { return dynamic_cast<T&>(*resources.at(i)); }
  size_t size() const { return resources.size(); }
};

/// The properties of one parameter, for every visitor.
struct ParamInfo {
  const char* name;
  const char* brief;
  bool required = false;
  Range range{};
  const Choices* choices = nullptr;
  bool has_auto = false;                   // an integer that may be "auto" instead
  bool one_or_more = false;                // a list of numbers, of which one may stand alone
  bool pairs = false;                      // a list of numbers, written as a list of [a, b]
  bool incidental = false;                 // doesn't affect results
  bool movable = false;                    // the location of data
  std::optional<double>* plain = nullptr;  // of an object that may be a number instead
};

/// The value of an integer parameter that is given as "auto".
inline constexpr int64_t automatic = -1;

/// Visits a parameter set. Implementations: reading from JSON, writing the resolved form, documenting.
class ParamVisitor {
 public:
  virtual ~ParamVisitor() = default;

  virtual void visit(const ParamInfo& info, bool& value) = 0;
  virtual void visit(const ParamInfo& info, int64_t& value) = 0;
  virtual void visit(const ParamInfo& info, double& value) = 0;
  virtual void visit(const ParamInfo& info, std::string& value) = 0;
  virtual void visit(const ParamInfo& info, std::vector<int64_t>& value) = 0;
  virtual void visit(const ParamInfo& info, std::vector<double>& value) = 0;
  virtual void visit(const ParamInfo& info, std::vector<std::string>& value) = 0;
  virtual void visit(const ParamInfo& info, Models& value, Models::Access access, bool many) = 0;
  /// Returns whether to visit the members of the following object. Where `info.plain` holds a number, that is its value.
  virtual bool begin_object(const ParamInfo& info) = 0;
  virtual void end_object() = 0;

  void operator()(const char* name, auto& value, const char* brief) { pass({name, brief}, value); }
  void operator()(const char* name, auto& value, Range range, const char* brief) { pass({.name = name, .brief = brief, .range = range}, value); }
  void operator()(const char* name, std::string& value, const Choices& choices, const char* brief) {
    pass({.name = name, .brief = brief, .choices = &choices}, value);
  }
  void with_auto(const char* name, int64_t& value, Range range, const char* brief) {
    pass({.name = name, .brief = brief, .range = range, .has_auto = true}, value);
  }
  /// In a pipeline a number, or a list of at least one.
  void one_or_more(const char* name, std::vector<double>& value, Range range, const char* brief) {
    pass({.name = name, .brief = brief, .range = range, .one_or_more = true}, value);
  }
  /// In a pipeline a list of [a, b]; in `value` the numbers lie one behind the other.
  void pairs(const char* name, std::vector<double>& value, Range range, const char* brief) {
    pass({.name = name, .brief = brief, .range = range, .pairs = true}, value);
  }
  /// The next parameter doesn't affect results: it is not part of the pipeline's hash, and a resumed run may have another value.
  ParamVisitor& incidental() {
    incidental_ = true;
    return *this;
  }
  /// The next parameter is the location of data: it is part of the hash, but a resumed run may have another location, as long as
  /// the data are the same (SourceData::hash).
  ParamVisitor& movable() {
    movable_ = true;
    return *this;
  }
  /// The same, for a parameter without a sensible default.
  void required(const char* name, auto& value, const char* brief) { pass({.name = name, .brief = brief, .required = true}, value); }
  void required(const char* name, auto& value, Range range, const char* brief) {
    pass({.name = name, .brief = brief, .required = true, .range = range}, value);
  }
  /// A model (or models) whose weights the node reads, writes.
  void reads(const char* name, Models& value, const char* brief, bool many = false) {
    visit({.name = name, .brief = brief, .required = true}, value, Models::Access::reads, many);
  }
  void writes(const char* name, Models& value, const char* brief, bool many = false) {
    visit({.name = name, .brief = brief, .required = true}, value, Models::Access::writes, many);
  }

 private:
  template <class T>
  void pass(ParamInfo info, T& value) {
    info.incidental = std::exchange(incidental_, false);
    info.movable = std::exchange(movable_, false);
    if constexpr (requires { value.plain; }) info.plain = &value.plain;
    if constexpr (requires { value.describe(*this); }) {
      if (begin_object(info)) {
        value.describe(*this);
        end_object();
      }
    } else {
      visit(info, value);
    }
  }

  bool incidental_ = false, movable_ = false;
};

/// Visits the references to models in a parameter set, and ignores its other parameters.
class ModelVisitor : public ParamVisitor {
 public:
  void visit(const ParamInfo&, bool&) override {}
  void visit(const ParamInfo&, int64_t&) override {}
  void visit(const ParamInfo&, double&) override {}
  void visit(const ParamInfo&, std::string&) override {}
  void visit(const ParamInfo&, std::vector<int64_t>&) override {}
  void visit(const ParamInfo&, std::vector<double>&) override {}
  void visit(const ParamInfo&, std::vector<std::string>&) override {}
  bool begin_object(const ParamInfo&) override { return true; }
  void end_object() override {}
};

/// A parameter for the documentation.
struct ParamDoc {
  std::string name, brief;
  // "number", "integer", "integer or auto", "true or false", "string", "list of integers", "list of numbers", "list of strings", "model",
  // "models", "object", "number or object", "number or list", "list of pairs"
  std::string kind;
  std::string access;   // for models: "reads" or "writes"
  std::string model;    // for models: the kind
  std::string initial;  // default as JSON, empty when required
  Range range{};
  Choices choices;
  bool required = false;
  bool incidental = false;        // doesn't affect results
  bool movable = false;           // the location of data
  std::vector<ParamDoc> members;  // of an object
};

/// Type-erased parameter set: anything with describe(ParamVisitor&).
class ParamSet {
 public:
  virtual ~ParamSet() = default;
  virtual void describe(ParamVisitor& visitor) = 0;
};

/// Wraps a parameter set that is owned elsewhere.
template <class Params>
class ParamSetOf final : public ParamSet {
 public:
  explicit ParamSetOf(Params& params) : params_(params) {}
  void describe(ParamVisitor& visitor) override { params_.describe(visitor); }

 private:
  Params& params_;
};

/// Fills `params` from the members of `object` (a JSON object). Keys in `reserved` belong to others. Every unknown key,
/// wrong type, value out of range and missing required parameter goes to `faults`; messages begin with `owner` (a
/// node's or model's name, or "run") and point to `flowrun help TYPE` when `type` is not empty.
void read_params(ParamSet& params, const Value& object, const std::vector<std::string>& reserved, const std::string& owner, const std::string& type,
                 Diagnostics& faults);

/// All parameters with their present values, in declared order.
nlohmann::ordered_json write_params(ParamSet& params);

std::vector<ParamDoc> document_params(ParamSet& params);

}  // namespace flowrun
