// A few lines at the bottom of a terminal that are drawn again and again, in place.
#pragma once

#include <atomic>
#include <functional>
#include <string>
#include <vector>

namespace flowrun::cli {

struct TerminalLine {
  std::string text;
  const char* style = "";  // SGR numbers, such as "1" for bold; unused with NO_COLOR
};

/// On standard error. One thread at a time.
class Terminal {
 public:
  /// `alone`: no other object draws on it.
  explicit Terminal(bool alone = true);

  /// Whether lines can be drawn over: it is a terminal, and TERM names one that moves its cursor.
  bool redraws() const { return redraws_; }
  /// In columns, as the window is now.
  size_t width() const;

  /// Replaces the drawn lines; lines that are too wide are cut.
  void draw(std::vector<TerminalLine> lines);
  void clear();
  /// Lets `write` write other text above the drawn lines.
  void above(const std::function<void()>& write);

  /// A signal handler has written: the drawn lines can no longer be replaced.
  static std::atomic<bool> disturbed;

 private:
  std::string erasure();

  bool redraws_, colours_;
  std::vector<TerminalLine> lines_;
};

}  // namespace flowrun::cli
