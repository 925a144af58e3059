// Pipeline files come from outside: for any bytes the result is a list of faults or a checked pipeline, never a crash
// or another exception. Mutations are seeded, so that a failure can be repeated.
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "graph/check/entries.h"
#include "graph/compose/pipeline.h"
#include "support/toy_nodes.h"

namespace flowrun {
namespace {

const std::string seed_text = toy::training;

/// Parts in a part, with everything that a use of one can say.
const std::string parts_text = R"({
  "let": { "q": 2 },
  "parts": { "pair": { "in": ["x"], "out": { "left": "one", "right": "two.number" }, "let": { "s": null, "t": "$s" },
    "parts": { "turn": { "in": ["y"], "out": "turn", "nodes": { "turn": { "type": "toy.noise", "in": "in.y" } } } },
    "nodes": { "one": { "use": "turn", "in": "in" }, "two": { "use": "turn", "in": { "y": "one" }, "after": "one", "stream": "${t}" } } } },
  "nodes": {
    "numbers": { "type": "toy.numbers", "n": 50 },
    "a":       { "use": "pair", "in": "numbers", "s": "t", "streams": { "two/turn": "u" } },
    "b":       { "use": "pair", "in": { "x": "a.right" }, "s": "v${q}", "after": "a" },
    "both":    { "type": "toy.join", "in": { "a": "b.left", "b": "b.right" } },
    "stack":   { "type": "toy.stack", "in": "both", "size": 12, "group": 3 },
    "look":    { "type": "toy.look", "in": "stack" }
  }
})";

/// Words that mean something where they don't belong.
const std::vector<std::string> words = {"\"type\"", "\"in\"",    "\"toy.sum\"", "\"numbers\"", "\"sum.*\"", "\"$n\"",  "\"${n}\"",
                                        "null",     "true",      "1e999",       "-1",          "{}",        "[]",      "[[[[",
                                        "}}",       "\"a.b.c\"", "\"extends\"", "\"\"",        "\xff\xfe",  "\\u0000", "0.5",
                                        "\"use\"",  "\"pair\"",  "\"in.x\"",    "\"$$\"",      "\"one.*\""};

std::string mutate(std::string text, Rng& rng) {
  const uint32_t changes = 1 + rng.below(4);
  for (uint32_t i = 0; i < changes && !text.empty(); ++i) {
    const size_t at = rng.below(static_cast<uint32_t>(text.size())), length = rng.below(24);
    switch (rng.below(5)) {
      case 0:
        text[at] = static_cast<char>(rng.below(256));
        break;
      case 1:
        text.erase(at, length);
        break;
      case 2:
        text.insert(at, text.substr(rng.below(static_cast<uint32_t>(text.size())), length));
        break;
      case 3:
        text.replace(at, length, words[rng.below(static_cast<uint32_t>(words.size()))]);
        break;
      default:
        text.insert(at, words[rng.below(static_cast<uint32_t>(words.size()))]);
    }
  }
  return text;
}

TEST(Fuzz, PipelineTextsGiveFaultsOrAPipeline) {
  ASSERT_EQ(toy::faults_of(parts_text), "");
  int valid = 0, parsed = 0;
  for (uint64_t i = 0; i < 40'000; ++i) {
    Rng rng(1, hash_text("fuzz"), 0, i);
    const auto source = std::make_shared<Source>(Source{"fuzz.json", mutate(i % 2 == 0 ? seed_text : parts_text, rng)});
    Diagnostics faults;
    try {
      const Value value = load_pipeline(source, {}, faults);
      if (value.is(Value::Kind::object)) {
        ++parsed;
        CheckedPipeline checked = validate(value, faults);
        if (faults.empty()) ++valid, resolved_json(checked);
      } else {
        EXPECT_FALSE(faults.empty()) << source->text;
      }
      EXPECT_TRUE(faults.empty() || faults.render().size() > 20);
    } catch (const std::exception& error) {
      FAIL() << "mutation " << i << " throws " << error.what() << "\n" << source->text;
    }
  }
  // The mutations reach all the way through.
  EXPECT_GT(parsed, 1000);
  EXPECT_GT(valid, 100);
}

TEST(Fuzz, SetArgumentsGiveFaultsOrAPipeline) {
  const auto source = std::make_shared<Source>(Source{"base.json", seed_text});
  for (uint64_t i = 0; i < 5'000; ++i) {
    Rng rng(2, hash_text("fuzz"), 0, i);
    Diagnostics faults;
    const std::string argument = mutate("stack.size=[1, 2]", rng);
    try {
      const Value value = load_pipeline(source, {argument}, faults);
      if (value.is(Value::Kind::object)) validate(value, faults);
      faults.render();
    } catch (const std::exception& error) {
      FAIL() << argument << " throws " << error.what();
    }
  }
}

}  // namespace
}  // namespace flowrun
