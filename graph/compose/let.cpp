#include "graph/compose/let.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "graph/text/json_text.h"

namespace flowrun {
namespace {

using Kind = Value::Kind;

/// Whether a string is "$name" as a whole.
bool is_reference(const std::string& text) { return text.size() > 1 && text[0] == '$' && text[1] != '{' && text[1] != '$'; }

void relocate(Value& value, const Location& where) {
  value.where = where;
  for (Value& item : value.items) relocate(item, where);
  for (Member& member : value.members) {
    member.key_where = where;
    relocate(member.value, where);
  }
}

}  // namespace

void Substitution::apply(Value& value, int depth) {
  if (stopped_) return;
  constexpr size_t most = 1'000'000;
  if (++visited_ > most) {
    stopped_ = true;
    return faults_.error(value.where, "let stands for more than a million values");
  }
  for (Value& item : value.items) apply(item, depth);
  for (Member& member : value.members) apply(member.value, depth);
  if (!value.is(Kind::string)) return;
  if (is_reference(value.string)) {
    const Location where = value.where;
    if (const Value* found = lookup(value.string.substr(1), where, depth)) {
      value = *found;
      relocate(value, where);
      apply(value, depth + 1);
    }
  } else {
    interpolate(value, depth);
  }
}

const Value* Substitution::lookup(const std::string& name, const Location& where, int depth) {
  if (stopped_) return nullptr;
  const Value* found = let_ ? let_->find(name) : nullptr;
  constexpr int deepest = 16;
  if (found && depth < deepest) return found;
  stopped_ = found != nullptr;  // it would be met again and again
  const std::vector<std::string> names = let_ ? let_->keys() : std::vector<std::string>{};
  const std::string none = where.source && where.source->used_at ? "the part has no \"let\"" : "the pipeline has no \"let\"";
  faults_.error(where, found ? "let \"" + name + "\" refers to itself" : "no let \"" + name + "\"",
                found ? "" : did_you_mean(name, names) + (names.empty() ? none : "there are: " + join(names)));
  return nullptr;
}

void Substitution::interpolate(Value& value, int depth) {
  std::string out;
  std::string_view rest = value.string;
  while (!rest.empty()) {
    const size_t dollar = rest.find('$');
    out += rest.substr(0, dollar);
    if (dollar == std::string_view::npos) break;
    rest.remove_prefix(dollar);
    const size_t close = rest.find('}');
    if (rest.starts_with("$$")) {
      out += '$';
      rest.remove_prefix(2);
    } else if (rest.starts_with("${") && close != std::string_view::npos) {
      const Value* found = lookup(std::string(rest.substr(2, close - 2)), value.where, depth);
      if (!found) return;
      Value text = *found;
      apply(text, depth + 1);
      out += text.is(Kind::string) ? text.string : json_text(to_json(text));
      rest.remove_prefix(close + 1);
    } else {
      out += '$';
      rest.remove_prefix(1);
    }
  }
  value.string = out;
}

void protect_dollars(Value& value) {
  for (Value& item : value.items) protect_dollars(item);
  for (Member& member : value.members) protect_dollars(member.value);
  for (size_t at = value.string.find('$'); at != std::string::npos; at = value.string.find('$', at + 2)) value.string.insert(at, 1, '$');
}

void move_into(Value& value, const std::shared_ptr<const Source>& source) {
  value.where.source = source;
  for (Value& item : value.items) move_into(item, source);
  for (Member& member : value.members) {
    member.key_where.source = source;
    move_into(member.value, source);
  }
}

bool names_let(const Value& value, const std::string& name) {
  const auto inside = [&](const auto& held) { return names_let(held, name); };
  return (is_reference(value.string) && value.string.compare(1, std::string::npos, name) == 0) ||
         value.string.find("${" + name + "}") != std::string::npos || std::any_of(value.items.begin(), value.items.end(), inside) ||
         std::any_of(value.members.begin(), value.members.end(), [&](const Member& member) { return inside(member.value); });
}

}  // namespace flowrun
