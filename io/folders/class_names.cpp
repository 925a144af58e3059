#include "io/folders/class_names.h"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cmath>
#include <set>

namespace flowrun::io {

namespace {

constexpr int64_t most_numbers = 65536;  // ImageNet-21k has 21,841 classes

std::string_view trimmed(std::string_view text) {
  const char* const blanks = " \t\r\n";
  const size_t begin = text.find_first_not_of(blanks);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(blanks) - begin + 1);
}

bool is_missing(std::string_view text) {
  std::string lower(text);
  for (char& c : lower) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return lower.empty() || lower == "nan" || lower == "null" || lower == "none";
}

ClassNames from_numbers(const std::vector<int64_t>& numbers) {
  ClassNames out{.numbers = true};
  const int64_t most = *std::max_element(numbers.begin(), numbers.end());
  if (most < most_numbers) {
    for (int64_t i = 0; i <= most; ++i) out.classes.push_back(std::to_string(i));
    for (const int64_t number : numbers) out.labels.push_back(static_cast<int32_t>(number));
    return out;
  }
  std::set<int64_t> distinct(numbers.begin(), numbers.end());
  distinct.erase(-1);
  const std::vector<int64_t> sorted(distinct.begin(), distinct.end());
  for (const int64_t number : sorted) out.classes.push_back(std::to_string(number));
  for (const int64_t number : numbers) {
    const auto place = std::lower_bound(sorted.begin(), sorted.end(), number);
    out.labels.push_back(number < 0 ? -1 : static_cast<int32_t>(place - sorted.begin()));
  }
  return out;
}

}  // namespace

int64_t whole_number(std::string_view text) {
  text = trimmed(text);
  if (is_missing(text)) return -1;
  int64_t whole = 0;
  const char* const end = text.data() + text.size();
  const auto [at, error] = std::from_chars(text.data(), end, whole);
  if (error == std::errc() && at == end) return whole >= 0 ? whole : whole == -1 ? -1 : -2;
  double number = 0;
  const auto [stop, fault] = std::from_chars(text.data(), end, number);
  if (fault != std::errc() || stop != end || number != std::floor(number) || number < -1 || number > 9e15) return -2;
  return static_cast<int64_t>(number);
}

ClassNames name_classes(const std::vector<std::string>& texts) {
  std::vector<int64_t> numbers;
  for (const std::string& text : texts) numbers.push_back(whole_number(text));
  if (!texts.empty() && std::find(numbers.begin(), numbers.end(), -2) == numbers.end()) return from_numbers(numbers);
  ClassNames out;
  std::set<std::string> distinct;
  for (const std::string& text : texts) {
    if (!is_missing(trimmed(text))) distinct.emplace(trimmed(text));
  }
  out.classes.assign(distinct.begin(), distinct.end());
  for (const std::string& text : texts) {
    const std::string name(trimmed(text));
    const auto place = std::lower_bound(out.classes.begin(), out.classes.end(), name);
    out.labels.push_back(is_missing(name) ? -1 : static_cast<int32_t>(place - out.classes.begin()));
  }
  return out;
}

}  // namespace flowrun::io
