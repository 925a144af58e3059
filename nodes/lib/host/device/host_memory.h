// Memory of batches on the host. A GPU copies from page-locked memory without the host's help, so batches use it when a
// run trains on a GPU. No tensors here.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <new>
#include <utility>
#include <vector>

namespace flowrun {

/// The allocator of page-locked memory. Set before the first batch of a run, and not changed afterwards; any thread may
/// then call it.
struct PinnedMemory {
  void* (*allocate)(size_t bytes) = nullptr;  // throws when there is no more
  bool (*free)(void* memory) = nullptr;       // false: not its memory
};

inline std::atomic<const PinnedMemory*>& pinned_memory() {
  static std::atomic<const PinnedMemory*> memory{nullptr};
  return memory;
}

/// Allocator for std::vector. New elements stay uninitialised: the caller fills them.
template <class T>
struct BatchAllocator {
  using value_type = T;
  BatchAllocator() = default;
  template <class U>
  BatchAllocator(const BatchAllocator<U>&) {}

  T* allocate(size_t count) {
    const PinnedMemory* const pinned = pinned_memory();
    return static_cast<T*>(pinned != nullptr ? pinned->allocate(count * sizeof(T)) : ::operator new(count * sizeof(T)));
  }
  void deallocate(T* memory, size_t) {
    const PinnedMemory* const pinned = pinned_memory();
    if (pinned == nullptr || !pinned->free(memory)) ::operator delete(memory);
  }
  template <class U, class... Args>
  void construct(U* at, Args&&... args) {
    if constexpr (sizeof...(Args) == 0) {
      ::new (static_cast<void*>(at)) U;
    } else {
      ::new (static_cast<void*>(at)) U(std::forward<Args>(args)...);
    }
  }
  bool operator==(const BatchAllocator&) const { return true; }
};

using BatchBytes = std::vector<uint8_t, BatchAllocator<uint8_t>>;

}  // namespace flowrun
