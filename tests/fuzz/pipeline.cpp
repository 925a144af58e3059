// Any bytes as a pipeline file: faults with places, or a pipeline; and a text of bounded size that shows the faults.
#include "graph/compose/pipeline.h"

#include <cstdlib>
#include <memory>

#include "graph/check/entries.h"

using namespace flowrun;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto source = std::make_shared<Source>(Source{"pipeline.json", {reinterpret_cast<const char*>(data), size}});
  Diagnostics faults;
  // The second half of the text is also a --set.
  const std::string set = source->text.substr(size / 2);
  const Value pipeline = load_pipeline(source, {set.find('\0') == std::string::npos ? set : "a=1"}, faults);
  if (faults.empty() && pipeline.is(Value::Kind::object)) validate(pipeline, faults);
  const std::string text = faults.render(), inside = "json.exception";
  const bool is_quoted = source->text.find(inside) != std::string::npos;  // messages of libraries must not be shown
  if (text.size() > 60 * (2 * size + 6000) || (!is_quoted && text.find(inside) != std::string::npos)) std::abort();
  return 0;
}
