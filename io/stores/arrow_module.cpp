#include "io/stores/arrow_module.h"

#include <dlfcn.h>
#include <filesystem>
#include <mutex>

#include "io/error.h"

namespace flowrun::io {
namespace {

/// The file that holds this code: libflowrun.so, or a test.
std::filesystem::path own_file() {
  Dl_info here{};
  dladdr(reinterpret_cast<const void*>(&arrow_module), &here);
  return std::filesystem::weakly_canonical(here.dli_fname);
}

/// Empty: it is open.
std::string open_module(ArrowModule& module) {
  // The module's calls to this code find it only where its symbols are seen.
  dlopen(own_file().c_str(), RTLD_NOW | RTLD_GLOBAL | RTLD_NOLOAD);
  const std::filesystem::path path = own_file().parent_path() / "libflowrun_arrow.so";
  if (!std::filesystem::exists(path)) return "this program was built without pyarrow's headers (tools/setup --test)";
  void* const library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) return std::string(dlerror()) + "; pip install 'pyarrow==" FLOWRUN_PYARROW ".*' beside flowrun";
  reinterpret_cast<void (*)(ArrowModule*)>(dlsym(library, "flowrun_arrow"))(&module);
  return "";
}

}  // namespace

const ArrowModule& arrow_module(const std::string& needed_for) {
  static std::mutex mutex;
  static ArrowModule module{};
  const std::lock_guard lock(mutex);
  if (module.store != nullptr) return module;
  const std::string fault = open_module(module);
  if (!fault.empty()) throw Error(needed_for + " needs pyarrow's libraries: " + fault);
  return module;
}

}  // namespace flowrun::io
