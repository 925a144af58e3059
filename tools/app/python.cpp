#include "tools/app/python.h"

#include <cerrno>
#include <cstring>
#include <sys/wait.h>
#include <unistd.h>

#include "graph/contract/python_program.h"
#include "graph/text/error.h"

namespace flowrun::app {
namespace {

constexpr int output_file = 1, error_file = 2;  // of the process that is started

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

Finished run_python(const std::vector<std::string>& words, const std::string& needs, bool quiet) {
  const std::string program = python_program();
  // -P: modules beside a file, or in the present folder, don't stand before the packages.
  std::vector<std::string> all = {program, "-P"};
  all.insert(all.end(), words.begin(), words.end());
  std::vector<char*> pointers;
  for (std::string& word : all) pointers.push_back(word.data());
  pointers.push_back(nullptr);
  int ends[2];
  if (pipe(ends) != 0) throw RunError(std::string("no pipe could be made: ") + std::strerror(errno));
  const pid_t process = fork();
  if (process == 0) {
    dup2(ends[1], output_file);
    close(ends[0]), close(ends[1]);
    if (quiet) close(error_file);
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
  if (WEXITSTATUS(status) == 127) throw RunError(program + " could not be started: set FLOWRUN_PYTHON to a Python that has " + needs);
  return {WEXITSTATUS(status), std::move(printed)};
}

}  // namespace flowrun::app
