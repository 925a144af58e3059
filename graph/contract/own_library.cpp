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

void offer_own_symbols() { dlopen(own_path(), RTLD_NOW | RTLD_GLOBAL | RTLD_NOLOAD); }

}  // namespace flowrun
