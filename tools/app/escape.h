// Escapes text of users or files: one function for each output format.
#pragma once

#include <string>
#include <string_view>

namespace flowrun::app {

/// For text between tags of HTML or SVG, or in an attribute between quotes.
std::string xml_text(std::string_view text);
/// For a path in the address of a link: percent-encoded, so that no character ends an attribute or begins a query.
std::string url_path(std::string_view path);
/// A string of Graphviz's language, with its quotes.
std::string dot_string(std::string_view text);
/// A cell of a Markdown table.
std::string markdown_cell(std::string_view text);

}  // namespace flowrun::app
