#include "nodes/lib/host/text/words.h"

#include "nodes/lib/host/text/unicode.h"

namespace flowrun::text {
namespace {

/// Of one of the English endings that are words of their own; 0: none stands here.
size_t ending_size(std::string_view text) {
  for (const std::string_view ending : {"'s", "'t", "'re", "'ve", "'m", "'ll", "'d"}) {
    if (text.starts_with(ending)) return ending.size();
  }
  return 0;
}

/// Behind the characters of one kind that begin at `at`.
size_t end_of_run(std::string_view text, size_t at, Kind kind) {
  while (at < text.size()) {
    const Character next = character(text, at);
    if (next.kind != kind) break;
    at += next.size;
  }
  return at;
}

/// Where the last character of text[from, end) begins.
size_t last_character(std::string_view text, size_t from, size_t end) {
  size_t at = from;
  for (size_t next = from; next < end; next += character(text, next).size) at = next;
  return at;
}

}  // namespace

std::vector<std::string_view> clip_words(std::string_view text) {
  std::vector<std::string_view> words;
  for (size_t at = 0; at < text.size();) {
    const Character first = character(text, at);
    size_t end = at + first.size;
    if (const size_t ending = ending_size(text.substr(at)); ending > 0) {
      end = at + ending;
    } else if (first.kind != Kind::number) {
      end = end_of_run(text, at, first.kind);
    }
    if (first.kind != Kind::space) words.push_back(text.substr(at, end - at));
    at = end;
  }
  return words;
}

std::vector<std::string_view> gpt2_words(std::string_view text) {
  std::vector<std::string_view> words;
  for (size_t at = 0; at < text.size();) {
    const Character first = character(text, at);
    const size_t after_blank = at + (first.code == ' ' && at + 1 < text.size() ? 1 : 0);
    const Kind kind = character(text, after_blank).kind;
    size_t end;
    if (const size_t ending = ending_size(text.substr(at)); ending > 0) {
      end = at + ending;
    } else if (kind != Kind::space) {
      end = end_of_run(text, after_blank, kind);
    } else {
      end = end_of_run(text, at, Kind::space);
      // The last one belongs to the word behind it, or stands alone.
      if (const size_t last = last_character(text, at, end); end < text.size() && last > at) end = last;
    }
    words.push_back(text.substr(at, end - at));
    at = end;
  }
  return words;
}

}  // namespace flowrun::text
