// Loaded ahead of the C library by `flowrun profile --leaks`: replaces malloc and counts, per node, the bytes that it
// allocated and that are not freed yet. Any node may free them: each block remembers its node in a header before its
// bytes.
#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <dlfcn.h>

extern "C" {
void* __libc_malloc(size_t bytes);
void* __libc_calloc(size_t count, size_t bytes);
void* __libc_realloc(void* memory, size_t bytes);
void* __libc_memalign(size_t alignment, size_t bytes);
void __libc_free(void* memory);
}

namespace {

constexpr size_t most_owners = 4096;
constexpr uint64_t mark = 0x666c6f7772756e21;

struct Header {
  void* block;  // as the C library gave it
  size_t bytes;
  uint64_t owner;
  uint64_t check;  // mark ^ address: blocks from before this library was loaded have none
};
static_assert(sizeof(Header) == 32 && sizeof(Header) % alignof(max_align_t) == 0);

std::atomic<int64_t> live[most_owners];
// initial-exec: the usual way to a thread's variable may allocate.
thread_local uint64_t owner __attribute__((tls_model("initial-exec"))) = 1;  // no node's

uint64_t owner_of(int node) { return static_cast<uint64_t>(node + 2 < static_cast<int>(most_owners) ? node + 2 : 1); }

Header* header_of(void* memory) {
  Header* const header = static_cast<Header*>(memory) - 1;
  return header->check == (mark ^ reinterpret_cast<uintptr_t>(memory)) ? header : nullptr;
}

void* hand_out(void* block, size_t offset, size_t bytes) {
  if (block == nullptr) return nullptr;
  void* const memory = static_cast<char*>(block) + offset;
  *(static_cast<Header*>(memory) - 1) = {block, bytes, owner, mark ^ reinterpret_cast<uintptr_t>(memory)};
  live[owner].fetch_add(static_cast<int64_t>(bytes), std::memory_order_relaxed);
  return memory;
}

bool too_much(size_t bytes, size_t more) { return bytes > PTRDIFF_MAX - more; }

void* no_memory() {
  errno = ENOMEM;
  return nullptr;
}

void* allocate_aligned(size_t alignment, size_t bytes) {
  const size_t offset = alignment > sizeof(Header) ? alignment : sizeof(Header);
  if (too_much(bytes, offset)) return no_memory();
  return hand_out(__libc_memalign(alignment, bytes + offset), offset, bytes);
}

}  // namespace

extern "C" {

/// Memory that this thread allocates from now on belongs to the node; -1: to no node; -2: to the profile itself.
void flowrun_memory_enter(int node) { owner = owner_of(node); }
/// Its bytes that are in use.
int64_t flowrun_memory_live(int node) { return live[owner_of(node)].load(std::memory_order_relaxed); }

void* malloc(size_t bytes) {
  if (too_much(bytes, sizeof(Header))) return no_memory();
  return hand_out(__libc_malloc(bytes + sizeof(Header)), sizeof(Header), bytes);
}

void free(void* memory) {
  if (memory == nullptr) return;
  Header* const header = header_of(memory);
  if (header == nullptr) return __libc_free(memory);
  live[header->owner].fetch_sub(static_cast<int64_t>(header->bytes), std::memory_order_relaxed);
  header->check = 0;
  __libc_free(header->block);
}

void* calloc(size_t count, size_t bytes) {
  size_t all = 0;
  if (__builtin_mul_overflow(count, bytes, &all) || too_much(all, sizeof(Header))) return no_memory();
  return hand_out(__libc_calloc(1, all + sizeof(Header)), sizeof(Header), all);
}

void* realloc(void* memory, size_t bytes) {
  if (memory == nullptr) return malloc(bytes);
  const Header* const header = header_of(memory);
  if (header == nullptr) return __libc_realloc(memory, bytes);
  if (bytes == 0) return free(memory), nullptr;
  void* const moved = malloc(bytes);
  if (moved == nullptr) return nullptr;
  std::memcpy(moved, memory, header->bytes < bytes ? header->bytes : bytes);
  free(memory);
  return moved;
}

void* memalign(size_t alignment, size_t bytes) { return allocate_aligned(alignment, bytes); }
void* aligned_alloc(size_t alignment, size_t bytes) { return allocate_aligned(alignment, bytes); }
void* valloc(size_t bytes) { return allocate_aligned(4096, bytes); }
void* pvalloc(size_t bytes) { return too_much(bytes, 4096) ? no_memory() : allocate_aligned(4096, (bytes + 4095) / 4096 * 4096); }

int posix_memalign(void** out, size_t alignment, size_t bytes) {
  if (alignment % sizeof(void*) != 0 || (alignment & (alignment - 1)) != 0 || alignment == 0) return EINVAL;
  void* const memory = allocate_aligned(alignment, bytes);
  if (memory == nullptr) return ENOMEM;
  *out = memory;
  return 0;
}

size_t malloc_usable_size(void* memory) {
  if (memory == nullptr) return 0;
  if (const Header* const header = header_of(memory)) return header->bytes;
  static const auto theirs = reinterpret_cast<size_t (*)(void*)>(dlsym(RTLD_NEXT, "malloc_usable_size"));
  return theirs != nullptr ? theirs(memory) : 0;
}
}
