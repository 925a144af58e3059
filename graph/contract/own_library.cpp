#include "graph/contract/own_library.h"

#include <dlfcn.h>

namespace flowrun {
namespace {

const char* own_path() {
  Dl_info here{};
  dladdr(reinterpret_cast<const void*>(&own_folder), &here);
  return here.dli_fname;
}

}  // namespace

std::filesystem::path own_folder() { return std::filesystem::weakly_canonical(own_path()).parent_path(); }

std::filesystem::path own_share(const std::string& name) {
  for (const char* const place : {"..", "../share/flowrun"}) {
    std::error_code ignored;
    if (std::filesystem::path found = std::filesystem::weakly_canonical(own_folder() / place / name, ignored);
        std::filesystem::exists(found, ignored)) {
      return found;
    }
  }
  return {};
}

void offer_own_symbols() { dlopen(own_path(), RTLD_NOW | RTLD_GLOBAL | RTLD_NOLOAD); }

}  // namespace flowrun
