#include "graph/text/error.h"

#include <algorithm>
#include <numeric>
#include <utility>

namespace flowrun {
namespace {

struct Line {
  size_t number;  // 1-based
  size_t column;  // 1-based, in bytes
  std::string_view text;
};

Line line_of(const Location& where) {
  const std::string_view text = where.source->file ? where.source->file->text : where.source->text;
  const size_t offset = std::min(where.offset, text.size());
  const size_t before = offset == 0 ? std::string_view::npos : text.rfind('\n', offset - 1);
  const size_t begin = before == std::string_view::npos ? 0 : before + 1;
  const size_t end = std::min(text.find('\n', offset), text.size());
  const auto newlines = std::count(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(begin), '\n');
  return {static_cast<size_t>(newlines) + 1, offset - begin + 1, text.substr(begin, end - begin)};
}

bool continues_character(char c) { return (static_cast<unsigned char>(c) & 0xC0) == 0x80; }

/// The part of a line to show: all of it, or for a long line the part around the span.
Line shown(const Line& line, size_t& length) {
  constexpr size_t most = 240, before = 100;
  length = std::min(length, line.text.size() - std::min(line.text.size(), line.column - 1));
  if (line.text.size() <= most) return line;
  size_t begin = line.column - 1 > before ? line.column - 1 - before : 0;
  while (begin > 0 && continues_character(line.text[begin])) --begin;
  size_t end = std::min(line.text.size(), begin + most);
  while (end < line.text.size() && continues_character(line.text[end])) ++end;
  length = std::min(length, end - (line.column - 1));
  return {line.number, line.column - begin, line.text.substr(begin, end - begin)};
}

/// Spaces and carets under the span, by characters rather than bytes; tabs are kept so that the columns stay.
std::string carets(const Line& line, size_t length) {
  std::string out;
  for (size_t i = 0; i + 1 < line.column; ++i) {
    if (!continues_character(line.text[i])) out += line.text[i] == '\t' ? '\t' : ' ';
  }
  const size_t last = std::min(line.text.size(), line.column - 1 + length);
  size_t width = 0;
  for (size_t i = line.column - 1; i < last; ++i) width += !continues_character(line.text[i]);
  return out + std::string(std::max<size_t>(width, 1), '^');
}

}  // namespace

LineColumn line_and_column(const Location& where) {
  const Line line = line_of(where);
  return {line.number, line.column};
}

std::vector<Location> uses_of(const Location& where) {
  std::vector<Location> out;
  for (const Source* source = where.source.get(); source != nullptr && source->used_at; source = source->used_at->source.get()) {
    out.push_back(*source->used_at);
  }
  return out;
}

void Diagnostics::error(const Location& where, std::string message, std::string hint) {
  constexpr size_t longest = 1000;  // neither a name of megabytes nor a list of a thousand names helps the user
  if (message.size() > longest) message = message.substr(0, longest) + "…";
  if (hint.size() > longest) hint = hint.substr(0, longest) + "…";
  faults_.push_back({where, std::move(message), std::move(hint)});
}

std::vector<Diagnostics::Fault> Diagnostics::sorted() const {
  const auto rank = [&](const Fault& fault) {
    const auto first = std::find_if(faults_.begin(), faults_.end(), [&](const Fault& f) { return f.where.source == fault.where.source; });
    return std::pair(first - faults_.begin(), fault.where.offset);
  };
  std::vector<Fault> out = faults_;
  std::stable_sort(out.begin(), out.end(), [&](const Fault& a, const Fault& b) { return rank(a) < rank(b); });
  return out;
}

std::string Diagnostics::render() const {
  constexpr size_t most = 50;
  std::string out;
  size_t told = 0;
  for (const Fault& fault : sorted()) {
    if (++told > most) break;
    if (fault.where.source) {
      const Line line = line_of(fault.where);
      size_t length = fault.where.length;
      const Line part = shown(line, length);
      const bool cut_front = part.column != line.column, cut_back = part.text.data() + part.text.size() != line.text.data() + line.text.size();
      out += fault.where.source->name + ":" + std::to_string(line.number) + ":" + std::to_string(line.column) + ": error: " + fault.message + "\n" +
             (cut_front ? "…" : "") + std::string(part.text) + (cut_back ? "…" : "") + "\n" + (cut_front ? " " : "") + carets(part, length) + "\n";
    } else {
      out += "error: " + fault.message + "\n";
    }
    std::string_view hint = fault.hint;
    while (!hint.empty()) {
      const size_t end = std::min(hint.find('\n'), hint.size());
      out += "  " + std::string(hint.substr(0, end)) + "\n";
      hint.remove_prefix(std::min(end + 1, hint.size()));
    }
    for (const Location& use : uses_of(fault.where)) {
      const LineColumn place = line_and_column(use);
      out += "  used here: " + use.source->name + ":" + std::to_string(place.line) + ":" + std::to_string(place.column) + "\n";
    }
  }
  if (count() > most) out += "and " + std::to_string(count() - most) + " more\n";
  return out + std::to_string(count()) + (count() == 1 ? " error" : " errors") + "; nothing was run";
}

std::string nearest(std::string_view word, const std::vector<std::string>& candidates) {
  constexpr size_t longest = 200;
  if (word.size() > longest) return "";
  std::string best;
  size_t best_distance = std::max<size_t>(1, (word.size() + 1) / 3) + 1;
  for (const std::string& candidate : candidates) {
    // Levenshtein with one row.
    std::vector<size_t> row(candidate.size() + 1);
    std::iota(row.begin(), row.end(), size_t{0});
    for (size_t i = 1; i <= word.size(); ++i) {
      size_t diagonal = std::exchange(row[0], i);
      for (size_t j = 1; j <= candidate.size(); ++j) {
        const size_t changed = diagonal + (word[i - 1] != candidate[j - 1]);
        diagonal = row[j];
        row[j] = std::min({row[j] + 1, row[j - 1] + 1, changed});
      }
    }
    // A word that begins a name is a good match: the user may have forgotten the rest.
    const size_t distance = word.size() >= 4 && candidate.starts_with(word) ? 1 : row.back();
    if (distance < best_distance) {
      best_distance = distance;
      best = candidate;
    }
  }
  return best;
}

std::string did_you_mean(std::string_view word, const std::vector<std::string>& candidates) {
  const std::string best = nearest(word, candidates);
  return best.empty() ? "" : "did you mean \"" + best + "\"? ";
}

std::string join(const std::vector<std::string>& words, std::string_view separator) {
  std::string out;
  for (const std::string& word : words) {
    if (!out.empty()) out += separator;
    out += word;
  }
  return out;
}

}  // namespace flowrun
