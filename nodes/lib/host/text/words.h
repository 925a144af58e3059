// Texts as words, before pieces are made of them.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace flowrun::text {

/// As OpenAI's CLIP splits a text that is in lower case: runs of letters, single numbers, runs of marks, and the endings 's 't 're 've
/// 'm 'll 'd; white space only parts them. Its words for start and end of a text are marks here.
std::vector<std::string_view> clip_words(std::string_view text);

/// As GPT-2: runs of letters, of numbers, of marks, each with the blank before it, endings as above, and runs of white space. Together
/// they are the text.
std::vector<std::string_view> gpt2_words(std::string_view text);

}  // namespace flowrun::text
