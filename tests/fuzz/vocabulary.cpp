// Any bytes as a list of merges, and a text for it: a vocabulary or an Error; pieces are numbers of the vocabulary, and no words are lost.
#include "nodes/lib/host/text/vocabulary.h"

#include <algorithm>
#include <cstdlib>

#include "io/error.h"
#include "nodes/lib/host/text/words.h"

using namespace flowrun;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view all{reinterpret_cast<const char*>(data), size};
  const size_t cut = std::min(all.find('\0'), size);
  const std::string_view list = all.substr(0, cut), text = all.substr(std::min(cut + 1, size));
  const auto check = [&](const text::Vocabulary& vocabulary) {
    for (const int64_t piece : vocabulary.encode(text)) {
      if (piece < 0 || piece >= vocabulary.size()) std::abort();
    }
  };
  check(text::Vocabulary());
  size_t bytes = 0;
  for (const std::string_view word : text::gpt2_words(text)) bytes += word.empty() ? size + 1 : word.size();
  if (bytes != text.size()) std::abort();
  for (const std::string_view word : text::clip_words(text)) {
    if (word.empty()) std::abort();
  }
  try {
    check(text::Vocabulary::parse(list, "list"));
  } catch (const io::Error&) {
  }
  return 0;
}
