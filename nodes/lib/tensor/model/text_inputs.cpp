#include "nodes/lib/tensor/model/text_inputs.h"

#include "graph/contract/planned.h"

namespace flowrun::model {

const Choices& text_pools() {
  static const Choices choices = {"end", "start", "mean"};
  return choices;
}

TextPool text_pool(const std::string& name) { return name == "end" ? TextPool::end : name == "start" ? TextPool::start : TextPool::mean; }

void check_texts(NodePlan& plan, const std::string& input, const Text& text, const std::string& name) {
  const double length = plan.known(input).width;
  if (length <= static_cast<double>(text.config().context)) return;
  plan.fault(input, "texts have " + count_text(length) + " places, but " + name + " takes " + std::to_string(text.config().context),
             "context of text.tokens and of " + name + " must agree");
}

void check_pool(NodePlan& plan, const Text& text, const std::string& pool, const std::string& name) {
  if (pool != "start" || !text.config().causal) return;
  plan.fault("pool", "the start of a text sees nothing of it, since " + name + " is causal", "set pool to end, or causal of " + name + " to false");
}

void require_vocabulary(int64_t most, const Text& text, const std::string& name) {
  if (most < text.config().vocabulary) return;
  throw NodeError("a text has the number " + std::to_string(most) + ", but " + name + " knows 0 to " + std::to_string(text.config().vocabulary - 1) +
                  ": set vocabulary of " + name + " to what the list of merges has (CLIP 49,408, GPT-2 50,257, bytes 258)");
}

}  // namespace flowrun::model
