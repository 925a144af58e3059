// Preloaded into flowrun by tests/cli/test_profile.py: opening a JPEG takes SLOW_FILES_MS milliseconds, as on a slow disk.
#include <cstdarg>
#include <cstdlib>
#include <cstring>
#include <dlfcn.h>
#include <fcntl.h>
#include <unistd.h>

extern "C" int openat(int folder, const char* path, int flags, ...) {
  static const auto next = reinterpret_cast<int (*)(int, const char*, int, ...)>(dlsym(RTLD_NEXT, "openat"));
  static const int milliseconds = std::atoi(std::getenv("SLOW_FILES_MS"));
  va_list arguments;
  va_start(arguments, flags);
  const int mode = (flags & O_CREAT) != 0 ? va_arg(arguments, int) : 0;
  va_end(arguments);
  const size_t length = std::strlen(path);
  if (length > 5 && (std::strcmp(path + length - 5, ".JPEG") == 0 || std::strcmp(path + length - 4, ".jpg") == 0)) {
    usleep(static_cast<useconds_t>(milliseconds) * 1000);
  }
  return next(folder, path, flags, mode);
}
