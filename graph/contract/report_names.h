// The numbers that evaluations report, by type: a misspelt one is found before the run.
#pragma once

#include <string>
#include <vector>

namespace flowrun {

/// Declares what nodes of a type may report, beside FLOWRUN_NODE: `const ReportNames names(Knn::info.type, {"accuracy", "accuracy_k*"});`. A name
/// that ends with * stands for all that begin so. Of a type without a declaration nothing is known before the run.
class ReportNames {
 public:
  ReportNames(const char* type, std::vector<std::string> names);

  /// Those of a type; null: it declares none. Any thread, once plug-ins are loaded.
  static const std::vector<std::string>* of(const std::string& type);
  /// Whether a name is among these.
  static bool have(const std::vector<std::string>& names, const std::string& name);
};

}  // namespace flowrun
