#include "graph/contract/report_names.h"

#include <algorithm>
#include <map>

namespace flowrun {
namespace {

std::map<std::string, std::vector<std::string>>& declared() {
  static std::map<std::string, std::vector<std::string>> all;
  return all;
}

}  // namespace

ReportNames::ReportNames(const char* type, std::vector<std::string> names) { declared()[type] = std::move(names); }

const std::vector<std::string>* ReportNames::of(const std::string& type) {
  const auto found = declared().find(type);
  return found == declared().end() ? nullptr : &found->second;
}

bool ReportNames::have(const std::vector<std::string>& names, const std::string& name) {
  return std::any_of(names.begin(), names.end(), [&](const std::string& each) {
    return each.ends_with('*') ? name.size() >= each.size() && name.starts_with(each.substr(0, each.size() - 1)) : name == each;
  });
}

}  // namespace flowrun
