#include "tools/flowrun/cli/terminal.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <sys/ioctl.h>
#include <unistd.h>

namespace flowrun::cli {
namespace {

bool is_set(const char* name) {
  const char* const value = std::getenv(name);
  return value != nullptr && *value != '\0';
}

bool starts_character(char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }

size_t columns(const std::string& text) { return static_cast<size_t>(std::count_if(text.begin(), text.end(), starts_character)); }

std::string cut(const std::string& text, size_t width) {
  size_t at = 0, used = 0;
  for (; at < text.size(); ++at) {
    if (starts_character(text[at]) && used++ == width) break;
  }
  return text.substr(0, at);
}

/// Writes in one piece, so that no other output comes between.
void put(const std::string& text) {
  for (size_t at = 0; at < text.size();) {
    const ssize_t written = write(STDERR_FILENO, text.data() + at, text.size() - at);
    if (written < 0) return;  // failing to show progress must not end a run
    at += static_cast<size_t>(written);
  }
}

winsize window() {
  winsize size{};
  ioctl(STDERR_FILENO, TIOCGWINSZ, &size);
  return size;
}

}  // namespace

std::atomic<bool> Terminal::disturbed{false};

Terminal::Terminal(bool alone)
    : redraws_(alone && isatty(STDERR_FILENO) != 0 && is_set("TERM") && std::strcmp(std::getenv("TERM"), "dumb") != 0),
      colours_(!is_set("NO_COLOR")) {}

size_t Terminal::width() const {
  const size_t width = window().ws_col;
  return width > 0 ? width : 80;
}

/// Moves to the begin of the lines and clears from there. They may have wrapped, if the window is narrower now.
std::string Terminal::erasure() {
  if (disturbed.exchange(false)) lines_.clear();
  if (lines_.empty()) return "";
  const size_t width = this->width();
  size_t rows = 0;
  for (const TerminalLine& line : lines_) rows += std::max<size_t>(1, (columns(line.text) + width - 1) / width);
  return "\r" + (rows > 1 ? "\033[" + std::to_string(rows - 1) + "A" : "") + "\033[J";
}

void Terminal::draw(std::vector<TerminalLine> lines) {
  std::string text = erasure();
  if (const size_t rows = window().ws_row; rows > 0 && lines.size() > rows) lines.resize(rows);
  const size_t width = std::max<size_t>(this->width(), 2) - 1;  // in the last column some wrap
  for (size_t i = 0; i < lines.size(); ++i) {
    TerminalLine& line = lines[i];
    line.text = cut(line.text, width);
    const bool coloured = colours_ && *line.style != '\0';
    text += (i > 0 ? "\n" : "") + (coloured ? "\033[" + std::string(line.style) + "m" + line.text + "\033[0m" : line.text);
  }
  lines_ = std::move(lines);
  put(text);
}

void Terminal::clear() {
  put(erasure());
  lines_.clear();
}

void Terminal::above(const std::function<void()>& write) {
  std::vector<TerminalLine> lines = lines_;
  clear();
  write();
  if (!lines.empty()) draw(std::move(lines));
}

}  // namespace flowrun::cli
