#include "nodes/lib/tensor/model/module_type.h"

#include "nodes/lib/tensor/model/import.h"

namespace flowrun {

void load_given_weights(model::Module& module, const std::string& file, const std::string& name) {
  try {
    log_info(name + ": " + file + ": " + module.take_weights(file));
  } catch (const model::MissingWeights&) {
    throw;
  } catch (const std::exception& error) {
    const std::string text = error.what();
    throw NodeError(text.find(file) == std::string::npos ? file + ": " + text : text);
  }
}

}  // namespace flowrun
