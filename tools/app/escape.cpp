#include "tools/app/escape.h"

#include <cctype>
#include <cstdio>

#include "graph/text/json_text.h"

namespace flowrun::app {

std::string xml_text(std::string_view raw) {
  std::string out;
  for (const char c : as_utf8(raw)) {
    const auto code = static_cast<unsigned char>(c);
    if (c == '&') {
      out += "&amp;";
    } else if (c == '<') {
      out += "&lt;";
    } else if (c == '>') {
      out += "&gt;";
    } else if (c == '"') {
      out += "&quot;";
    } else if (c == '\'') {
      out += "&#39;";
    } else if (code < 0x20 && c != '\n' && c != '\t') {
      out += "\xef\xbf\xbd";  // XML has no way to write these
    } else {
      out += c;
    }
  }
  return out;
}

std::string url_path(std::string_view path) {
  std::string out;
  for (const char c : path) {
    char code[4] = {c, 0};
    if (!std::isalnum(static_cast<unsigned char>(c)) && std::string_view("/._-").find(c) == std::string_view::npos) {
      std::snprintf(code, sizeof code, "%%%02X", static_cast<unsigned char>(c));
    }
    out += code;
  }
  return out;
}

std::string dot_string(std::string_view text) {
  std::string out = "\"";
  for (const char c : as_utf8(text)) {
    if (c == '"' || c == '\\') out += '\\';
    out += c == '\n' ? ' ' : c;
  }
  return out + '"';
}

std::string markdown_cell(std::string_view text) {
  std::string out;
  for (const char c : as_utf8(text)) {
    if (std::string_view("|\\`*_<>[]").find(c) != std::string_view::npos && c != '_') out += '\\';
    out += c == '\n' || c == '\r' ? ' ' : c;
  }
  return out;
}

}  // namespace flowrun::app
