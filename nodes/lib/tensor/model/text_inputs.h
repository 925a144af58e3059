// Shared by nodes that read a text tower.
#pragma once

#include <string>

#include "graph/node.h"
#include "nodes/lib/tensor/model/text.h"

namespace flowrun::model {

/// The parameter "pool" of these nodes.
const Choices& text_pools();
inline constexpr const char* text_pool_brief =
    "end: the vector where the text ends (CLIP). start: where it begins (BERT, ALIGN). mean: of all of the text.";
TextPool text_pool(const std::string& name);

/// A fault before a run: texts of input `input` are longer than the tower's context.
void check_texts(NodePlan& plan, const std::string& input, const Text& text, const std::string& name);
/// The same: the start of a causal tower, which sees nothing.
void check_pool(NodePlan& plan, const Text& text, const std::string& pool, const std::string& name);

/// Throws NodeError where `most` is no number of the vocabulary.
void require_vocabulary(int64_t most, const Text& text, const std::string& name);

}  // namespace flowrun::model
