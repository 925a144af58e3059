// Byte-level byte-pair encoding (Sennrich et al. 2016; bytes as in GPT-2), as CLIP and GPT-2 have it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace flowrun::text {

/// The pieces of texts and their numbers. Immutable; any thread.
class Vocabulary {
 public:
  /// Bytes alone: 0 to 255, then start and end.
  Vocabulary();

  /// Of a list of merges, "left right" a line, the most frequent first, below a first line that says #version. If any right side ends in
  /// </w> it is CLIP's: words end in that mark, and texts are in lower case; numbers are 256 bytes, 256 bytes that end words, merges,
  /// start, end. Else it is GPT-2's: 256 bytes, merges, and one number that is start and end. `most`: so many merges are taken, from the
  /// top; 0: the first 48,894 of CLIP's, as published, and all of GPT-2's. Throws io::Error "WHERE:LINE …" for a line that is no pair,
  /// a side that is no piece by then, and a piece that is made twice.
  static Vocabulary parse(std::string_view list, const std::string& where, int64_t most = 0);
  /// The same of a file; throws io::Error also for one that gzip compressed.
  static Vocabulary read(const std::filesystem::path& file, int64_t most = 0);

  int64_t size() const { return end_ + 1; }
  int64_t start() const { return start_; }
  int64_t end() const { return end_; }
  /// The numbers of the text's pieces, without start and end. Texts are taken as they are, apart from white space and case in CLIP's
  /// form: HTML's entities and wrong encodings are not mended.
  std::vector<int64_t> encode(std::string_view text) const;

 private:
  enum class Form { bytes, clip, gpt2 };

  static uint64_t pair(int64_t left, int64_t right) { return static_cast<uint64_t>(left) << 32 | static_cast<uint64_t>(right); }
  /// Joins the pieces of one word, the earliest merge first.
  void merge(std::vector<int64_t>& pieces) const;

  Form form_ = Form::bytes;
  std::vector<int64_t> of_byte_;                  // number of each byte
  std::unordered_map<uint64_t, int64_t> merges_;  // of two neighbours, the piece; earlier merges have smaller numbers
  int64_t start_ = 0, end_ = 0;
};

}  // namespace flowrun::text
