#include "graph/contract/arrays.h"

#include <map>

namespace flowrun {
namespace {

std::map<std::string, ListArrays>& lists() {
  static std::map<std::string, ListArrays> map;
  return map;
}

}  // namespace

void register_arrays(const std::string& type_name, ListArrays list) { lists()[type_name] = list; }

ListArrays arrays_of_type(const std::string& type_name) {
  const auto found = lists().find(type_name);
  return found == lists().end() ? nullptr : found->second;
}

}  // namespace flowrun
