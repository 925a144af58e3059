#include "nodes/lib/host/text/vocabulary.h"

#include <algorithm>
#include <functional>
#include <queue>
#include <tuple>

#include "io/error.h"
#include "io/file.h"
#include "nodes/lib/host/text/unicode.h"
#include "nodes/lib/host/text/words.h"

namespace flowrun::text {
namespace {

constexpr int64_t bytes = 256, clip_merges = 48894;
constexpr std::string_view word_end = "</w>";

bool prints(int byte) { return (byte >= '!' && byte <= '~') || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae; }

/// The bytes in the order of their numbers: those that print first.
std::vector<uint8_t> bytes_in_order() {
  std::vector<uint8_t> out;
  for (const bool printing : {true, false}) {
    for (int byte = 0; byte < bytes; ++byte) {
      if (prints(byte) == printing) out.push_back(static_cast<uint8_t>(byte));
    }
  }
  return out;
}

/// The character that lists write for each byte, by number: itself where it prints, else one from U+0100 on.
std::vector<std::string> names_of_bytes() {
  std::vector<std::string> names;
  uint32_t next = bytes;
  for (const uint8_t byte : bytes_in_order()) append_utf8(prints(byte) ? byte : next++, names.emplace_back());
  return names;
}

struct Line {
  std::string_view left, right;
  size_t number;
};

/// The pairs of a list.
std::vector<Line> pairs_of(std::string_view rest, const std::string& where) {
  std::vector<Line> out;
  for (size_t number = 1; !rest.empty(); ++number) {
    const size_t end = std::min(rest.find('\n'), rest.size());
    std::string_view line = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (line.empty() || (number == 1 && line.find("#version") != std::string_view::npos)) continue;
    const size_t blank = line.find(' ');
    const std::string_view left = line.substr(0, blank), right = blank == std::string_view::npos ? std::string_view() : line.substr(blank + 1);
    if (left.empty() || right.empty() || right.find(' ') != std::string_view::npos) {
      throw io::Error(
          where + ":" + std::to_string(number) + ": \"" + std::string(line.substr(0, 40)) +
          "\" is no merge: two pieces with a blank between them are expected, as in CLIP's bpe_simple_vocab_16e6.txt or GPT-2's merges.txt");
    }
    out.push_back({left, right, number});
  }
  return out;
}

}  // namespace

Vocabulary::Vocabulary() : of_byte_(bytes), start_(bytes), end_(bytes + 1) {
  for (size_t i = 0; i < of_byte_.size(); ++i) of_byte_[i] = static_cast<int64_t>(i);
}

Vocabulary Vocabulary::parse(std::string_view list, const std::string& where, int64_t most) {
  std::vector<Line> lines = pairs_of(list, where);
  if (lines.empty()) throw io::Error(where + " holds no merges");
  Vocabulary out;
  const bool clip = std::any_of(lines.begin(), lines.end(), [](const Line& line) { return line.right.ends_with(word_end); });
  out.form_ = clip ? Form::clip : Form::gpt2;
  const auto taken = static_cast<size_t>(most > 0 ? most : clip ? clip_merges : static_cast<int64_t>(lines.size()));
  if (most > 0 && taken > lines.size()) {
    throw io::Error(where + " holds " + std::to_string(lines.size()) + " merges, fewer than the " + std::to_string(most) + " that are asked for");
  }
  lines.resize(std::min(taken, lines.size()));
  const std::vector<uint8_t> order = bytes_in_order();
  for (size_t i = 0; i < order.size(); ++i) out.of_byte_[order[i]] = static_cast<int64_t>(i);
  std::unordered_map<std::string, int64_t> numbers;
  int64_t next = 0;
  for (const std::string& name : names_of_bytes()) numbers.emplace(name, next++);
  if (clip) {
    for (const std::string& name : names_of_bytes()) numbers.emplace(name + std::string(word_end), next++);
  }
  for (const Line& line : lines) {
    const auto number_of = [&](std::string_view piece) {
      const auto found = numbers.find(std::string(piece));
      if (found != numbers.end()) return found->second;
      throw io::Error(where + ":" + std::to_string(line.number) + ": \"" + std::string(piece.substr(0, 40)) +
                      "\" is no byte, and no merge above makes it");
    };
    out.merges_.emplace(pair(number_of(line.left), number_of(line.right)), next);
    if (!numbers.emplace(std::string(line.left) + std::string(line.right), next++).second) {
      throw io::Error(where + ":" + std::to_string(line.number) + ": a merge above makes \"" +
                      (std::string(line.left) + std::string(line.right)).substr(0, 40) + "\" already");
    }
  }
  out.start_ = next, out.end_ = clip ? next + 1 : next;
  return out;
}

Vocabulary Vocabulary::read(const std::filesystem::path& file, int64_t most) {
  std::vector<uint8_t> content;
  io::read_file(file, content);
  if (content.size() > 1 && content[0] == 0x1f && content[1] == 0x8b) throw io::Error(file.string() + " is compressed: unpack it by gunzip first");
  return parse({reinterpret_cast<const char*>(content.data()), content.size()}, file.string(), most);
}

void Vocabulary::merge(std::vector<int64_t>& pieces) const {
  const size_t count = pieces.size();
  if (count < 2) return;
  std::vector<size_t> next(count), before(count);
  for (size_t i = 0; i < count; ++i) next[i] = i + 1, before[i] = i == 0 ? count : i - 1;  // count: none
  // The number of a merge, the place of its left side, and both sides when it was seen.
  using Found = std::tuple<int64_t, size_t, int64_t, int64_t>;
  std::priority_queue<Found, std::vector<Found>, std::greater<>> waiting;
  const auto look = [&](size_t left) {
    if (left >= count || next[left] >= count) return;
    const int64_t a = pieces[left], b = pieces[next[left]];
    if (const auto found = merges_.find(pair(a, b)); found != merges_.end()) waiting.emplace(found->second, left, a, b);
  };
  for (size_t i = 0; i < count; ++i) look(i);
  constexpr int64_t gone = -1;
  while (!waiting.empty()) {
    const auto [made, left, a, b] = waiting.top();
    waiting.pop();
    const size_t right = next[left];
    if (pieces[left] != a || right >= count || pieces[right] != b) continue;  // joined meanwhile
    pieces[left] = made, pieces[right] = gone, next[left] = next[right];
    if (next[right] < count) before[next[right]] = left;
    look(before[left]), look(left);
  }
  std::erase(pieces, gone);
}

std::vector<int64_t> Vocabulary::encode(std::string_view text) const {
  std::vector<int64_t> out, pieces;
  const auto spell = [&](std::string_view word) {
    pieces.clear();
    for (const char c : word) pieces.push_back(of_byte_[static_cast<uint8_t>(c)]);
  };
  if (form_ == Form::bytes) {
    spell(text);
    return pieces;
  }
  const std::string small = form_ == Form::clip ? lower(text) : std::string(text);
  for (const std::string_view word : form_ == Form::clip ? clip_words(small) : gpt2_words(small)) {
    spell(word);
    if (form_ == Form::clip) pieces.back() += bytes;
    merge(pieces);
    out.insert(out.end(), pieces.begin(), pieces.end());
  }
  return out;
}

}  // namespace flowrun::text
