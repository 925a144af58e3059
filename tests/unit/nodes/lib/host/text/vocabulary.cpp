#include "nodes/lib/host/text/vocabulary.h"

#include <gmock/gmock.h>
#include <sstream>

#include "io/error.h"
#include "nodes/lib/host/text/tokenizer.h"
#include "nodes/lib/host/text/unicode.h"
#include "nodes/lib/host/text/words.h"
#include "support/io_python.h"
#include "tests/support/places.h"

namespace flowrun::text {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
namespace test = io::test;

TEST(Vocabulary, OfBytesAlone) {
  const Vocabulary bytes;
  EXPECT_EQ(bytes.size(), 258);
  EXPECT_EQ(bytes.start(), 256);
  EXPECT_EQ(bytes.end(), 257);
  EXPECT_THAT(bytes.encode("aB\xff"), ElementsAre('a', 'B', 255));
}

TEST(Vocabulary, JoinsTheEarliestMergeFirst) {
  const Vocabulary clip = Vocabulary::parse("#version: 0.2\nt h\nh e</w>\nth e</w>\n", "list");
  EXPECT_EQ(clip.size(), 512 + 3 + 2);
  EXPECT_EQ(clip.start(), 515);
  EXPECT_EQ(clip.end(), 516);
  EXPECT_THAT(clip.encode("The  the"), ElementsAre(514, 514));
  EXPECT_THAT(clip.encode("he"), ElementsAre(513));
  const Vocabulary gpt2 = Vocabulary::parse("Ġ t\nĠt h\r\nĠth e", "list");
  EXPECT_EQ(gpt2.start(), 259);
  EXPECT_EQ(gpt2.end(), 259);
  EXPECT_EQ(gpt2.size(), 260);
  EXPECT_THAT(gpt2.encode("the the"), ElementsAre('t' - '!', 'h' - '!', 'e' - '!', 258));
  // Of a long word, from the left; the overlap of aaa is one merge.
  EXPECT_THAT(Vocabulary::parse("a a\n", "list").encode("aaaaa"), ElementsAre(256, 256, 'a' - '!'));
}

TEST(Vocabulary, TakesTheFirstMerges) {
  EXPECT_EQ(Vocabulary::parse("t h\nth e\n", "list", 1).size(), 258);
  EXPECT_EQ(test::message_of<io::Error>([] { Vocabulary::parse("t h\n", "list", 2); }), "list holds 1 merges, fewer than the 2 that are asked for");
}

TEST(Vocabulary, NamesTheLineOfAFault) {
  const auto fault = [](const char* list) { return test::message_of<io::Error>([&] { Vocabulary::parse(list, "list"); }); };
  EXPECT_THAT(fault("t h\nthe\n"), HasSubstr("list:2: \"the\" is no merge: two pieces with a blank between them"));
  EXPECT_THAT(fault("t h e\n"), HasSubstr("list:1: \"t h e\" is no merge"));
  EXPECT_EQ(fault("#version\nt h\nthe m\n"), "list:3: \"the\" is no byte, and no merge above makes it");
  EXPECT_EQ(fault("t h\nh e\nth e\nt he\n"), "list:4: a merge above makes \"the\" already");
  EXPECT_EQ(fault("#version\n\n"), "list holds no merges");
  const test::TemporaryDirectory dir;
  test::put_file(dir / "list.gz", "\x1f\x8b...");
  EXPECT_THAT(test::message_of<io::Error>([&] { Vocabulary::read(dir / "list.gz"); }), HasSubstr("list.gz is compressed: unpack it by gunzip first"));
}

TEST(Tokenizer, PutsStartAndEndAroundATextAndCutsIt) {
  const Tokenizer tokenizer({.vocabulary = "", .merges = 0, .context = 6});
  TextTokens row;
  EXPECT_EQ(tokenizer.write("abc", row), 5);
  EXPECT_THAT(row.ids, ElementsAre(256, 'a', 'b', 'c', 257, 0));
  EXPECT_EQ(row.end, 4);
  EXPECT_EQ(tokenizer.write("abcdefg", row), 9);
  EXPECT_THAT(row.ids, ElementsAre(256, 'a', 'b', 'c', 'd', 257));
  EXPECT_EQ(row.end, 5);
  EXPECT_EQ(tokenizer.write("", row), 2);
  EXPECT_THAT(row.ids, ElementsAre(256, 257, 0, 0, 0, 0));
}

TEST(Words, BytesThatAreNoTextAreMarks) {
  EXPECT_THAT(clip_words("a\xff\xfe b\xc3"), ElementsAre("a", "\xff\xfe", "b", "\xc3"));
  EXPECT_EQ(character("\xed\xa0\x80", 0).size, 1u);  // a surrogate
  EXPECT_EQ(character("\xc0\xaf", 0).size, 1u);      // longer than need be
  EXPECT_EQ(lower("\xc3\x89\xff"), "\xc3\xa9\xff");
}

/// By a twin with Python's regular expressions.
TEST(Vocabulary, EncodesAsThePublishedPatternsSplit) {
  const test::TemporaryDirectory dir;
  const std::string script = (flowrun::test::source_dir() / "tests/reference/make_encodings.py").string();
  test::run_python(dir.path(), "import runpy, sys\nsys.argv = ['" + script + "', '.']\nrunpy.run_path('" + script + "')\n");
  std::istringstream texts(test::get_file(dir / "texts"));
  for (const std::string form : {"clip", "gpt2"}) {
    const Vocabulary vocabulary = Vocabulary::read(dir / (form + ".txt"));
    EXPECT_EQ(vocabulary.size(), form == "clip" ? 512 + 400 + 2 : 256 + 400 + 1);
    std::istringstream lines(test::get_file(dir / (form + ".ids")));
    texts.clear(), texts.seekg(0);
    int count = 0;
    for (std::string text, line; std::getline(texts, text, '\0') && std::getline(lines, line); ++count) {
      std::vector<int64_t> expected;
      std::istringstream numbers(line);
      for (int64_t number = 0; numbers >> number;) expected.push_back(number);
      EXPECT_EQ(vocabulary.encode(text), expected) << form << ": \"" << text << '"';
    }
    EXPECT_EQ(count, 315);
  }
}

}  // namespace
}  // namespace flowrun::text
