#include "graph/text/json.h"

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <unordered_set>

namespace flowrun {
namespace {

/// Input iterator that tells how far the lexer has read. All copies share the counter.
class CountingIterator {
 public:
  using iterator_category = std::input_iterator_tag;
  using value_type = char;
  using difference_type = std::ptrdiff_t;
  using pointer = const char*;
  using reference = const char&;

  CountingIterator(const std::string* text, size_t* position) : text_(text), position_(position) {}
  const char& operator*() const { return (*text_)[*position_]; }
  CountingIterator& operator++() {
    ++*position_;
    return *this;
  }
  bool operator==(const CountingIterator& other) const { return at_end() == other.at_end(); }
  bool operator!=(const CountingIterator& other) const { return !(*this == other); }

 private:
  bool at_end() const { return position_ == nullptr || *position_ >= text_->size(); }
  const std::string* text_;
  size_t* position_;
};

/// The text with spaces for comments (// to the end of the line, /* … */) and for a comma behind the last item: what is left lies where it lay.
/// Everything that is wrong stays, for the parser to say.
std::string without_comments(const std::string& text) {
  std::string out = text;
  const auto blank = [&](size_t begin, size_t end) {
    for (size_t at = begin; at < std::min(end, out.size()); ++at) {
      if (out[at] != '\n' && out[at] != '\r') out[at] = ' ';
    }
  };
  char before = '[', before_comma = '[';  // what is no space
  size_t comma = std::string::npos;
  for (size_t at = 0; at < out.size(); ++at) {
    const char c = out[at];
    if (c == ' ' || c == '\t' || c == '\n' || c == '\r') continue;
    const char second = c == '/' && at + 1 < out.size() ? out[at + 1] : ' ';
    if (second == '/') {
      blank(at, out.find('\n', at));
      continue;
    }
    if (second == '*') {
      const size_t end = out.find("*/", at + 2);
      if (end == std::string::npos) return out;
      blank(at, end + 2);
      continue;
    }
    const bool separates = before_comma != ',' && before_comma != '[' && before_comma != '{' && before_comma != ':';
    if ((c == '}' || c == ']') && before == ',' && separates) blank(comma, comma + 1);
    if (c == ',') before_comma = before, comma = at;
    if (c == '"') {
      for (++at; at < out.size() && out[at] != '"'; ++at) at += out[at] == '\\' ? 1 : 0;
    }
    before = c;
  }
  return out;
}

/// Builds the tree from nlohmann's SAX events. Where a token begins is found backwards from where the lexer stands.
class Builder : public nlohmann::json_sax<nlohmann::json> {
 public:
  /// `plain`: the source's text without comments.
  Builder(std::shared_ptr<const Source> source, const std::string& plain, const size_t* position, Diagnostics& faults)
      : source_(std::move(source)), plain_(plain), position_(position), faults_(faults) {}

  Value root;

  bool null() override { return add(scalar(Value::Kind::null, word_location(4))); }
  bool boolean(bool value) override {
    Value v = scalar(Value::Kind::boolean, word_location(value ? 4 : 5));
    v.boolean = value;
    return add(std::move(v));
  }
  bool number_integer(number_integer_t value) override { return add(integer(value)); }
  bool number_unsigned(number_unsigned_t value) override {
    if (value > static_cast<number_unsigned_t>(INT64_MAX)) {
      faults_.error(number_location(), "the number does not fit in 64 bits");
    }
    return add(integer(static_cast<int64_t>(value)));
  }
  bool number_float(number_float_t value, const string_t&) override {
    Value v = scalar(Value::Kind::real, number_location());
    v.real = value;
    return add(std::move(v));
  }
  bool string(string_t& value) override {
    Value v = scalar(Value::Kind::string, string_location());
    v.string = value;
    return add(std::move(v));
  }
  bool binary(binary_t&) override { return false; }
  bool start_object(std::size_t) override { return open(Value::Kind::object); }
  bool start_array(std::size_t) override { return open(Value::Kind::array); }
  bool end_object() override { return close(); }
  bool end_array() override { return close(); }
  bool key(string_t& name) override {
    keys_.back().name = name, keys_.back().where = string_location();
    if (!keys_.back().seen.insert(name).second) faults_.error(keys_.back().where, "duplicate key \"" + name + "\"");
    return true;
  }
  bool parse_error(std::size_t position, const std::string&, const nlohmann::detail::exception& error) override {
    if (dynamic_cast<const nlohmann::detail::out_of_range*>(&error) != nullptr) {  // 1e999
      return faults_.error(number_location(), "the number is too large"), false;
    }
    const std::string& text = plain_;
    size_t offset = std::min(position == 0 ? 0 : position - 1, text.size());
    const size_t last = text.find_last_not_of(" \t\r\n");
    if (last == std::string::npos) return faults_.error({source_, 0, 1}, "the file is empty"), false;
    if (offset > last) offset = last;  // the end came too early: point at the text there
    std::string hint;
    if (text[offset] == '/') hint = text.compare(offset, 2, "/*") == 0 ? "the comment has no end: */" : "a comment begins with // or /*";
    faults_.error({source_, offset, 1}, "not valid JSON: " + plain_message(error.what()), hint);
    return false;
  }

  /// "[json.exception.parse_error.101] parse error at line 1, column 2: syntax error while parsing value - invalid
  /// literal; last read: '…'; expected …" without the parser's own words.
  static std::string plain_message(std::string message) {
    if (const size_t colon = message.find(": "); colon != std::string::npos) message.erase(0, colon + 2);
    if (const size_t dash = message.find(" - "); message.starts_with("syntax error") && dash != std::string::npos) message.erase(0, dash + 3);
    if (const size_t read = message.find("; last read: "); read != std::string::npos) {
      const size_t expected = message.find("; expected ", read);
      message.erase(read, expected == std::string::npos ? std::string::npos : expected - read);
    }
    return message;
  }

 private:
  struct Key {
    std::string name;
    Location where;
    std::unordered_set<std::string> seen;  // in the same object
  };

  // Far more than a pipeline needs; bounds the recursion of every function that walks the tree.
  static constexpr size_t max_depth = 64;

  static Value scalar(Value::Kind kind, Location where) {
    Value v;
    v.kind = kind;
    v.where = std::move(where);
    return v;
  }
  Value integer(int64_t value) {
    Value v = scalar(Value::Kind::integer, number_location());
    v.integer = value;
    v.real = static_cast<double>(value);
    return v;
  }

  Location word_location(size_t length) const { return {source_, *position_ - length, length}; }

  /// The lexer has read one character past a number, unless the text ended.
  Location number_location() const {
    const std::string& text = plain_;
    const auto belongs = [](char c) { return std::strchr("0123456789+-.eE", c) != nullptr; };
    size_t end = std::min(*position_, text.size());
    if (end > 0 && !belongs(text[end - 1])) --end;
    size_t begin = end;
    while (begin > 0 && belongs(text[begin - 1])) --begin;
    return {source_, begin, end - begin};
  }

  /// The lexer stands behind the closing quote; inside, every quote is escaped.
  Location string_location() const {
    const std::string& text = plain_;
    size_t begin = *position_ - 2;
    const auto escaped = [&](size_t at) {
      size_t slashes = 0;
      while (slashes < at && text[at - 1 - slashes] == '\\') ++slashes;
      return slashes % 2 == 1;
    };
    while (begin > 0 && (text[begin] != '"' || escaped(begin))) --begin;
    return {source_, begin, *position_ - begin};
  }

  bool open(Value::Kind kind) {
    if (stack_.size() == max_depth) {
      faults_.error(word_location(1), "nested deeper than " + std::to_string(max_depth) + " levels");
      return false;
    }
    stack_.push_back(scalar(kind, word_location(1)));
    keys_.emplace_back();
    return true;
  }
  bool close() {
    Value done = std::move(stack_.back());
    stack_.pop_back();
    keys_.pop_back();
    return add(std::move(done));
  }
  bool add(Value value) {
    if (stack_.empty()) {
      root = std::move(value);
    } else if (stack_.back().is(Value::Kind::object)) {
      stack_.back().members.push_back({keys_.back().name, keys_.back().where, std::move(value)});
    } else {
      stack_.back().items.push_back(std::move(value));
    }
    return true;
  }

  std::shared_ptr<const Source> source_;
  const std::string& plain_;
  const size_t* position_;
  Diagnostics& faults_;
  std::vector<Value> stack_;
  std::vector<Key> keys_;
};

}  // namespace

const Value* Value::find(std::string_view key) const {
  for (const Member& member : members) {
    if (member.key == key) return &member.value;
  }
  return nullptr;
}

Value* Value::find(std::string_view key) { return const_cast<Value*>(std::as_const(*this).find(key)); }

std::vector<std::string> Value::keys() const {
  std::vector<std::string> out;
  for (const Member& member : members) out.push_back(member.key);
  return out;
}

bool Value::erase(std::string_view key) {
  return std::erase_if(members, [&](const Member& member) { return member.key == key; }) > 0;
}

void Value::put(const std::string& key, const Location& key_where, Value value) {
  if (Value* present = find(key)) {
    *present = std::move(value);
  } else {
    members.push_back({key, key_where, std::move(value)});
  }
}

std::string kind_name(Value::Kind kind) {
  switch (kind) {
    case Value::Kind::null:
      return "null";
    case Value::Kind::boolean:
      return "true or false";
    case Value::Kind::integer:
      return "an integer";
    case Value::Kind::real:
      return "a number";
    case Value::Kind::string:
      return "a string";
    case Value::Kind::array:
      return "a list";
    case Value::Kind::object:
      return "an object";
  }
  return "";
}

namespace {

Value parse(const std::shared_ptr<const Source>& source, const std::string& plain, Diagnostics& faults) {
  size_t position = 0;
  Builder builder(source, plain, &position, faults);
  nlohmann::json::sax_parse(CountingIterator(&plain, &position), CountingIterator(nullptr, nullptr), &builder);
  return std::move(builder.root);
}

}  // namespace

Value parse_json(const std::shared_ptr<const Source>& source, Diagnostics& faults) { return parse(source, source->text, faults); }

Value parse_json_file(const std::string& path, const Location& referrer, Diagnostics& faults) {
  constexpr uintmax_t largest = uintmax_t{64} << 20;
  std::error_code code;
  const std::filesystem::file_status status = std::filesystem::status(path, code);
  std::string why;
  if (!std::filesystem::exists(status)) {
    why = std::strerror(code ? code.value() : ENOENT);
  } else if (std::filesystem::is_directory(status)) {
    why = std::strerror(EISDIR);
  } else if (!std::filesystem::is_regular_file(status)) {
    why = "it is not a regular file";  // a device or a pipe might never end
  } else if (std::filesystem::file_size(path, code) > largest || code) {
    why = code ? std::strerror(code.value()) : "it is larger than 64 MiB, which no pipeline is";
  }
  errno = 0;
  std::ifstream in;
  if (why.empty()) in.open(path, std::ios::binary);
  if (why.empty() && !in) why = std::strerror(errno);
  if (!why.empty()) {
    faults.error(referrer, path + ": " + why);
    return {};
  }
  auto source = std::make_shared<Source>();
  source->name = path;
  source->text.assign(std::istreambuf_iterator<char>(in), {});
  return parse(source, without_comments(source->text), faults);
}

nlohmann::ordered_json to_json(const Value& value) {
  switch (value.kind) {
    case Value::Kind::null:
      return nullptr;
    case Value::Kind::boolean:
      return value.boolean;
    case Value::Kind::integer:
      return value.integer;
    case Value::Kind::real:
      return value.real;
    case Value::Kind::string:
      return value.string;
    case Value::Kind::array: {
      auto out = nlohmann::ordered_json::array();
      for (const Value& item : value.items) out.push_back(to_json(item));
      return out;
    }
    case Value::Kind::object: {
      auto out = nlohmann::ordered_json::object();
      for (const Member& member : value.members) out[member.key] = to_json(member.value);
      return out;
    }
  }
  return nullptr;
}

}  // namespace flowrun
