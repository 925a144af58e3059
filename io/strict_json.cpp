#include "io/strict_json.h"

#include <utility>
#include <vector>

#include "io/error.h"

namespace flowrun::io {

namespace {

using Json = nlohmann::json;

// Deeper nesting would let a small file build a tree whose destruction overflows the stack.
constexpr size_t deepest = 64;

class StrictBuilder : public nlohmann::json_sax<Json> {
 public:
  explicit StrictBuilder(const std::string& where) : where_(where) {}

  Json take() { return std::move(root_); }

  bool null() override { return add(nullptr), true; }
  bool boolean(bool value) override { return add(value), true; }
  bool number_integer(number_integer_t value) override { return add(value), true; }
  bool number_unsigned(number_unsigned_t value) override { return add(value), true; }
  bool number_float(number_float_t value, const string_t&) override { return add(value), true; }
  bool string(string_t& value) override { return add(std::move(value)), true; }
  bool binary(binary_t& value) override { return add(std::move(value)), true; }

  bool start_object(size_t) override { return open(Json::object()); }
  bool start_array(size_t) override { return open(Json::array()); }
  bool end_object() override { return open_.pop_back(), true; }
  bool end_array() override { return open_.pop_back(), true; }

  bool key(string_t& name) override {
    const auto [place, is_new] = open_.back()->emplace(name, nullptr);
    if (!is_new) throw Error(where_ + ": the key \"" + name + "\" is given twice");
    slot_ = &*place;
    return true;
  }

  bool parse_error(size_t, const std::string&, const nlohmann::json::exception& error) override {
    const std::string text = error.what();  // "[json.exception.parse_error.101] parse error at line 1, …"
    throw Error(where_ + ": not valid JSON: " + text.substr(text.find("] ") + 2));
  }

 private:
  Json* add(Json value) {
    if (open_.empty()) return &(root_ = std::move(value));
    Json& parent = *open_.back();
    if (!parent.is_array()) return &(*slot_ = std::move(value));
    parent.push_back(std::move(value));
    return &parent.back();
  }

  bool open(Json value) {
    if (open_.size() == deepest) throw Error(where_ + ": nested deeper than " + std::to_string(deepest) + " levels");
    open_.push_back(add(std::move(value)));
    return true;
  }

  const std::string& where_;
  Json root_;
  std::vector<Json*> open_;
  Json* slot_ = nullptr;
};

}  // namespace

nlohmann::json parse_strict_json(std::string_view text, const std::string& where) {
  StrictBuilder builder(where);
  nlohmann::json::sax_parse(text, &builder);
  return builder.take();
}

}  // namespace flowrun::io
