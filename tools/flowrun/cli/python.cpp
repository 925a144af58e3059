#include "tools/flowrun/cli/python.h"

#include <cerrno>
#include <climits>
#include <cstdlib>
#include <cstring>
#include <dlfcn.h>
#include <filesystem>
#include <sys/wait.h>
#include <unistd.h>

#include "graph/text/error.h"

namespace flowrun::cli {
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

std::string interpreter() {
  if (const char* named = std::getenv("FLOWRUN_PYTHON"); named != nullptr && *named != '\0') return named;
  const fs::path found = beside_torch();
  return found.empty() ? "python3" : found.string();
}

std::string all_of(int file) {
  std::string out;
  char bytes[4096];
  while (true) {
    const ssize_t got = read(file, bytes, sizeof bytes);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return out;
    out.append(bytes, static_cast<size_t>(got));
  }
}

}  // namespace

Finished run_python(const std::string& file, const std::vector<std::string>& words) {
  std::string program = interpreter();
  // -P: modules beside the file don't stand before the packages.
  std::vector<std::string> all = {program, "-P", file};
  all.insert(all.end(), words.begin(), words.end());
  std::vector<char*> pointers;
  for (std::string& word : all) pointers.push_back(word.data());
  pointers.push_back(nullptr);
  int ends[2];
  if (pipe(ends) != 0) throw RunError(std::string("no pipe could be made: ") + std::strerror(errno));
  const pid_t process = fork();
  if (process == 0) {
    dup2(ends[1], STDOUT_FILENO);
    close(ends[0]), close(ends[1]);
    execvp(pointers[0], pointers.data());
    _exit(127);
  }
  close(ends[1]);
  std::string printed = process > 0 ? all_of(ends[0]) : "";
  close(ends[0]);
  int status = 0;
  if (process < 0) throw RunError("no process could be started");
  while (waitpid(process, &status, 0) < 0) {
  }
  if (WIFSIGNALED(status)) return {128 + WTERMSIG(status), std::move(printed)};
  if (WEXITSTATUS(status) == 127) throw RunError(program + " could not be started: set FLOWRUN_PYTHON to a Python that has torch and timm");
  return {WEXITSTATUS(status), std::move(printed)};
}

}  // namespace flowrun::cli
