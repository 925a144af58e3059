// JSON with positions: every value and key has its position, so that messages can point at every fault.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "graph/text/error.h"

namespace flowrun {

struct Member;

/// A JSON value with its place. Members keep their order. Plain data; copying is deep.
struct Value {
  enum class Kind { null, boolean, integer, real, string, array, object };

  Kind kind = Kind::null;
  bool boolean = false;
  int64_t integer = 0;
  double real = 0;     // also set for integers
  std::string string;  // for strings
  std::vector<Value> items;
  std::vector<Member> members;
  Location where;

  bool is(Kind k) const { return kind == k; }
  bool is_number() const { return kind == Kind::integer || kind == Kind::real; }
  /// The member named `key`, or null.
  Value* find(std::string_view key);
  const Value* find(std::string_view key) const;
  std::vector<std::string> keys() const;
  /// Removes the member named `key`; returns whether there was one.
  bool erase(std::string_view key);
  /// Replaces the member's value, or appends a new member.
  void put(const std::string& key, const Location& key_where, Value value);
};

struct Member {
  std::string key;
  Location key_where;
  Value value;
};

/// "a number", "an object", …: for messages.
std::string kind_name(Value::Kind kind);

/// Parses the whole text. Syntax errors, duplicate keys and numbers out of range go to `faults`; the value then holds
/// what could be read.
Value parse_json(const std::shared_ptr<const Source>& source, Diagnostics& faults);

/// Reads and parses a file; a file that can't be read is a fault at `referrer`.
Value parse_json_file(const std::string& path, const Location& referrer, Diagnostics& faults);

/// Without the places, for writing out. Members keep their order.
nlohmann::ordered_json to_json(const Value& value);

}  // namespace flowrun
