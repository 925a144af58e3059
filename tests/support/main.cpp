// The main() of test programs. Each test is a process of its own, and LibTorch takes a quarter of a second to take its operators
// back at the end of one: the process ends without that, except under sanitizers, which look for leaks then.
#include <cstdio>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <iostream>
#include <unistd.h>

int main(int argc, char** argv) {
  testing::InitGoogleMock(&argc, argv);
  const int status = RUN_ALL_TESTS();
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
  std::cout.flush();
  std::fflush(nullptr);
  _exit(status);
#endif
  return status;
}
