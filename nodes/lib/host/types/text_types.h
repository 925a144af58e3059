// Texts on their way from a source to the device. No tensors here.
#pragma once

#include <algorithm>
#include <cstdint>
#include <mutex>
#include <string>
#include <vector>

namespace flowrun {

struct Planned;       // graph/contract/planned.h
struct PlannedGroup;  // the same
struct Shown;         // graph/contract/shown.h

/// The caption of a picture, UTF-8, or several captions. Empty: it has none.
struct Caption {
  static constexpr const char* type_name = "caption";
  std::vector<std::string> texts;
  void show(Shown& out, int64_t place, int64_t samples) const;
  static void plan(const PlannedGroup& group, Planned& out);
};

/// One text as numbers of a vocabulary: start, pieces, end, and zeros up to the length that all have.
struct TextTokens {
  static constexpr const char* type_name = "text tokens";
  std::vector<int64_t> ids;
  int64_t end = 0;  // where the end stands
  void show(Shown& out, int64_t place, int64_t samples) const;
  static void plan(const PlannedGroup& group, Planned& out);
};

/// The texts of a group: B rows of T numbers.
struct TextBatch {
  static constexpr const char* type_name = "text batch";
  std::vector<int64_t> ids, ends;  // empty when nothing gives texts
  int64_t texts = 0, length = 0;   // B, T
  size_t bytes() const { return (ids.size() + ends.size()) * sizeof(int64_t); }
  TextBatch& operator=(const TextBatch& other) {
    ids = other.ids, ends = other.ends, texts = other.texts, length = other.length;
    return *this;
  }
  void show(Shown& out, int64_t place, int64_t samples) const;
  static void plan(const PlannedGroup& group, Planned& out);

  /// Writes row `i`; the first caller makes room for `capacity` rows of its length. Any thread, each its own row. False: the length is
  /// another one.
  bool put(int64_t i, int64_t capacity, const TextTokens& text) {
    std::call_once(once_, [&] {
      length = static_cast<int64_t>(text.ids.size());
      ids.assign(static_cast<size_t>(capacity * length), 0), ends.assign(static_cast<size_t>(capacity), 0);
    });
    if (static_cast<int64_t>(text.ids.size()) != length) return false;
    std::copy(text.ids.begin(), text.ids.end(), ids.begin() + i * length);
    ends[static_cast<size_t>(i)] = text.end;
    return true;
  }

 private:
  std::once_flag once_;
};

}  // namespace flowrun
