// Converts written labels to numbers.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace flowrun::io {

struct ClassNames {
  std::vector<int32_t> labels;       // one for each text; -1: none
  std::vector<std::string> classes;  // names by label
  bool numbers = false;              // the labels were numbers, and the names are these
};

// Texts "3", "3.0" and " 3" are the number 3; "", "-1" and "nan" are no label; every other text is a name. Where all are
// numbers they stay as they are while the largest is below 65,536; larger ones (keys of a data base) become places
// among the sorted numbers. Otherwise labels are places among the sorted names, numbers among them being names too.
ClassNames name_classes(const std::vector<std::string>& texts);

// The whole number that a text holds, as above; -1: none, -2: the text is no whole number.
int64_t whole_number(std::string_view text);

}  // namespace flowrun::io
