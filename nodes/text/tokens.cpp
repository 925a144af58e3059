#include <optional>

#include "graph/contract/planned.h"
#include "graph/node.h"
#include "nodes/lib/host/text/tokenizer.h"

namespace flowrun {
namespace {

struct Tokens {
  static constexpr NodeInfo info{
      .type = "text.tokens",
      .brief = "A caption as a row of numbers: byte-level byte-pair encoding, as CLIP and GPT-2 have it, or bytes.",
      .scope = Scope::sample,
      .details =
          "The row is start, the pieces of the text, end, and zeros. With CLIP's list of merges texts are in lower case and white space only parts "
          "words; HTML's entities and wrong encodings stay as they are. GPT-2's list keeps case and white space, and has one number for start and "
          "end. Of a picture with several captions each epoch draws one."};
  struct Ports {
    In<Caption> caption{"caption", "Of the source."};
    Out<TextTokens> text{"text", "T numbers."};
    void describe(auto& port) { port(caption, text); }
  };
  struct Params : text::TokenizerParams {
    std::string longer = "listed";
    void describe(auto& param) {
      TokenizerParams::describe(param);
      param("longer", longer, choices(),
            "A text that is longer than context loses its last pieces: listed says so of each in quarantine.jsonl, cut does not, error refuses it.");
    }
    static const Choices& choices() {
      static const Choices choices = {"listed", "cut", "error"};
      return choices;
    }
  };
  Params params;

  void open(const OpenContext&) { tokenizer_.emplace(params); }

  void plan(NodePlan& plan) const {
    plan.out["text"] = Planned::of({static_cast<double>(params.context)}, "int64", 8);
    plan.out["text"].width = static_cast<double>(params.context);
  }

  void run(Ports& port, const SampleContext& context) const {
    const std::vector<std::string>& texts = port.caption->texts;
    if (texts.empty()) throw NodeError("the picture has no caption");
    size_t drawn = 0;
    if (texts.size() > 1) drawn = context.rng().below(static_cast<uint32_t>(texts.size())), context.ledger.add(drawn);
    const int64_t places = tokenizer_->write(texts[drawn], *port.text);
    if (places <= params.context || params.longer == "cut") return;
    const std::string what = "the caption takes " + std::to_string(places) + " tokens, and context is " + std::to_string(params.context);
    if (params.longer == "error") throw NodeError(what + ": raise context, or let longer cut it");
    context.kept(what + ": it was cut");
  }

 private:
  std::optional<text::Tokenizer> tokenizer_;
};

FLOWRUN_NODE(Tokens);

}  // namespace
}  // namespace flowrun
