// Texts as rows of numbers of one length, and the parameters that say how.
#pragma once

#include <string>
#include <string_view>

#include "graph/contract/params.h"
#include "nodes/lib/host/text/vocabulary.h"
#include "nodes/lib/host/types/text_types.h"

namespace flowrun::text {

/// The parameters of nodes that read texts.
struct TokenizerParams {
  std::string vocabulary;
  int64_t merges = 0, context = 77;
  void describe(auto& param) {
    param.movable()("vocabulary", vocabulary,
                    "List of merges, CLIP's bpe_simple_vocab_16e6.txt (unpacked) or GPT-2's merges.txt, relative to where the program is started; "
                    "empty: bytes are the pieces, 258 numbers with start and end.");
    param("merges", merges, not_negative,
          "How many merges of that file are taken; 0: CLIP's first 48,894, which make 49,408 numbers, and all of GPT-2's.");
    param("context", context, Range{3, 65536}, "Length of a row, with start and end; CLIP: 77.");
  }
};

/// Any thread.
class Tokenizer {
 public:
  /// Throws io::Error.
  explicit Tokenizer(const TokenizerParams& params)
      : vocabulary_(params.vocabulary.empty() ? Vocabulary() : Vocabulary::read(params.vocabulary, params.merges)), context_(params.context) {}

  const Vocabulary& vocabulary() const { return vocabulary_; }
  /// Start, the pieces of the text, end, and zeros. Pieces that find no room are left out. Returns how many places the whole text takes.
  int64_t write(std::string_view text, TextTokens& out) const;

 private:
  Vocabulary vocabulary_;
  int64_t context_;
};

}  // namespace flowrun::text
