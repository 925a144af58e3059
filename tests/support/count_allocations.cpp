// Preloaded into flowrun by tests/cli/test_profile.py: counts what C++ code allocates, and prints it at the end.
#include <atomic>
#include <cstdio>
#include <cstdlib>

namespace {

std::atomic<unsigned long> count{0};

void* allocate(std::size_t size) {
  count.fetch_add(1, std::memory_order_relaxed);
  void* const memory = std::malloc(size > 0 ? size : 1);
  if (memory == nullptr) std::abort();
  return memory;
}

__attribute__((destructor)) void report() { std::fprintf(stderr, "allocations: %lu\n", count.load()); }

}  // namespace

void* operator new(std::size_t size) { return allocate(size); }
void* operator new[](std::size_t size) { return allocate(size); }
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete[](void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete[](void* memory, std::size_t) noexcept { std::free(memory); }
