#include "tools/app/http/request.h"

#include <algorithm>
#include <cstdint>

namespace flowrun::app {
namespace {

bool is_control(char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/// Decodes percent escapes, and "+" in a query. Empty: an invalid escape, or a control character.
std::optional<std::string> decoded(std::string_view text, bool plus_is_blank) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    char c = text[i];
    if (c == '%') {
      const int high = i + 2 < text.size() ? hex_digit(text[i + 1]) : -1, low = i + 2 < text.size() ? hex_digit(text[i + 2]) : -1;
      if (high < 0 || low < 0) return std::nullopt;
      c = static_cast<char>(high << 4 | low);
      i += 2;
    } else if (c == '+' && plus_is_blank) {
      c = ' ';
    }
    if (is_control(c)) return std::nullopt;
    out += c;
  }
  return out;
}

/// Cuts the text up to `end` off its front; all of it where there is none.
std::string_view take_until(std::string_view& text, char end) {
  const size_t at = text.find(end);
  const std::string_view out = text.substr(0, at);
  text.remove_prefix(at == std::string_view::npos ? text.size() : at + 1);
  return out;
}

std::string_view take_line(std::string_view& text) {
  std::string_view line = take_until(text, '\n');
  if (line.ends_with('\r')) line.remove_suffix(1);
  return line;
}

std::string_view trimmed(std::string_view text) {
  while (text.starts_with(' ') || text.starts_with('\t')) text.remove_prefix(1);
  while (text.ends_with(' ') || text.ends_with('\t')) text.remove_suffix(1);
  return text;
}

bool read_target(std::string_view target, HttpRequest& out) {
  const std::string_view path = take_until(target, '?');
  if (!path.starts_with('/')) return false;
  const auto plain = decoded(path, false);
  if (!plain) return false;
  out.path = *plain;
  while (!target.empty()) {
    std::string_view value = take_until(target, '&');
    const auto key = decoded(take_until(value, '='), true), content = decoded(value, true);
    if (!key || !content) return false;
    out.query.emplace_back(*key, *content);
  }
  return true;
}

/// "METHOD /path?query HTTP/1.1"
bool read_first_line(std::string_view line, HttpRequest& out) {
  if (std::any_of(line.begin(), line.end(), is_control)) return false;
  out.method = take_until(line, ' ');
  if (out.method.empty() || !std::all_of(out.method.begin(), out.method.end(), [](char c) { return c >= 'A' && c <= 'Z'; })) return false;
  const std::string_view target = take_until(line, ' ');
  return (line == "HTTP/1.1" || line == "HTTP/1.0") && read_target(target, out);
}

/// `lower`: the name in small letters.
bool is_header(std::string_view name, std::string_view lower) {
  return std::equal(name.begin(), name.end(), lower.begin(), lower.end(),
                    [](char a, char b) { return (a >= 'A' && a <= 'Z' ? static_cast<char>(a + 'a' - 'A') : a) == b; });
}

}  // namespace

std::string HttpRequest::value(std::string_view key) const {
  const auto found = std::find_if(query.begin(), query.end(), [&](const auto& pair) { return pair.first == key; });
  return found == query.end() ? "" : found->second;
}

bool head_is_whole(std::string_view bytes) {
  return bytes.find("\r\n\r\n") != std::string_view::npos || bytes.find("\n\n") != std::string_view::npos;
}

std::optional<HttpRequest> parse_request(std::string_view bytes) {
  HttpRequest out;
  if (!read_first_line(take_line(bytes), out)) return std::nullopt;
  struct Kept {
    std::string_view name;
    std::string& value;
    bool there = false;
  };
  Kept headers[] = {{"host", out.host}, {"sec-fetch-site", out.fetch_site}, {"sec-fetch-mode", out.fetch_mode}};
  while (!bytes.empty()) {
    std::string_view line = take_line(bytes);
    if (line.empty()) break;
    if (std::any_of(line.begin(), line.end(), [](char c) { return is_control(c) && c != '\t'; })) return std::nullopt;
    if (line.find(':') == std::string_view::npos) return std::nullopt;
    const std::string_view name = take_until(line, ':');
    if (name.empty() || name.find_first_of(" \t") != std::string_view::npos) return std::nullopt;
    for (Kept& header : headers) {
      if (!is_header(name, header.name)) continue;
      if (header.there) return std::nullopt;
      header.there = true;
      header.value = trimmed(line);
    }
  }
  return out;
}

}  // namespace flowrun::app
