#include "graph/contract/python_program.h"

#include <climits>
#include <cstdlib>
#include <dlfcn.h>
#include <filesystem>

namespace flowrun {
namespace {

namespace fs = std::filesystem;

/// Of ENVIRONMENT/lib/python3.N/site-packages/torch/lib; empty: none is found.
fs::path beside_torch() {
  void* const torch = dlopen("libtorch_cpu.so", RTLD_LAZY | RTLD_NOLOAD);
  if (torch == nullptr) return {};
  char folder[PATH_MAX] = "";
  const bool known = dlinfo(torch, RTLD_DI_ORIGIN, folder) == 0;
  dlclose(torch);
  if (!known) return {};
  const fs::path environment = (fs::path(folder) / "../../../../..").lexically_normal();
  for (const char* name : {"bin/python", "bin/python3"}) {
    std::error_code ignored;
    if (fs::exists(environment / name, ignored)) return environment / name;
  }
  return {};
}

}  // namespace

std::string python_program() {
  if (const char* named = std::getenv("FLOWRUN_PYTHON"); named != nullptr && *named != '\0') return named;
  const fs::path found = beside_torch();
  return found.empty() ? "python3" : found.string();
}

}  // namespace flowrun
