#include "nodes/lib/host/text/tokenizer.h"

#include <algorithm>

namespace flowrun::text {

int64_t Tokenizer::write(std::string_view text, TextTokens& out) const {
  const std::vector<int64_t> pieces = vocabulary_.encode(text);
  const auto count = static_cast<int64_t>(pieces.size()), taken = std::min(count, context_ - 2);
  out.ids.assign(static_cast<size_t>(context_), 0);
  out.ids[0] = vocabulary_.start();
  std::copy_n(pieces.begin(), taken, out.ids.begin() + 1);
  out.end = taken + 1;
  out.ids[static_cast<size_t>(out.end)] = vocabulary_.end();
  return count + 2;
}

}  // namespace flowrun::text
