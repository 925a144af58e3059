// What the engine needs to know of the types that travel through ports.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <type_traits>

namespace flowrun {

struct Planned;       // planned.h
struct PlannedGroup;  // planned.h
struct Shown;         // shown.h

/// The engine's access to a type that travels through a port. T has `static constexpr const char* type_name`, a default
/// constructor, and optionally `void release()` (frees memory that must not outlive the last reader; without it the
/// object keeps its memory for the next record), `size_t bytes() const` (counted against run.memory), an assignment (only
/// outputs of batch nodes that have it can be shared between runs), and two functions for inputs of recorded work:
/// `std::string shape() const`, and `void refill(const T& from)`, which copies values of the same shape into its own
/// memory.
///
/// To those who look at a run it tells of itself, optionally, by `void show(Shown&, int64_t place, int64_t samples) const`, and
/// before a run by `static void plan(const PlannedGroup&, Planned&)`.
struct TypeOps {
  const char* name;
  void* (*make)();
  void (*destroy)(void*);
  void (*release)(void*);
  size_t (*bytes)(const void*);
  void (*copy)(void* to, const void* from);  // null: T can't be assigned
  bool releases;                             // has release()
  std::string (*shape)(const void*);         // null: T can't be the input of recorded work; likewise refill
  void (*refill)(void* to, const void* from);
  void (*show)(const void*, Shown& out, int64_t place, int64_t samples);  // null: it tells nothing of itself; likewise plan
  void (*plan)(const PlannedGroup& group, Planned& out);
};

template <class T>
concept Releases = requires(T& value) {
  value.release();
};
template <class T>
concept CountsBytes = requires(const T& value) {
  value.bytes();
};

template <class T>
concept Refills = requires(T& value, const T& from) {
  value.refill(from);
  std::string(from.shape());
};

template <class T>
constexpr auto shape_op() -> std::string (*)(const void*) {
  if constexpr (Refills<T>) return [](const void* p) { return static_cast<const T*>(p)->shape(); };
  return nullptr;
}
template <class T>
constexpr auto refill_op() -> void (*)(void*, const void*) {
  if constexpr (Refills<T>) return [](void* to, const void* from) { static_cast<T*>(to)->refill(*static_cast<const T*>(from)); };
  return nullptr;
}
template <class T>
constexpr auto show_op() -> void (*)(const void*, Shown&, int64_t, int64_t) {
  if constexpr (requires(const T& value, Shown& out) { value.show(out, int64_t{}, int64_t{}); }) {
    return [](const void* p, Shown& out, int64_t place, int64_t samples) { static_cast<const T*>(p)->show(out, place, samples); };
  }
  return nullptr;
}
template <class T>
constexpr auto plan_op() -> void (*)(const PlannedGroup&, Planned&) {
  if constexpr (requires(const PlannedGroup& group, Planned& out) { T::plan(group, out); }) return &T::plan;
  return nullptr;
}
template <class T>
constexpr auto copy_op() -> void (*)(void*, const void*) {
  if constexpr (std::is_copy_assignable_v<T>) return [](void* to, const void* from) { *static_cast<T*>(to) = *static_cast<const T*>(from); };
  return nullptr;
}

template <class T>
const TypeOps& type_ops() {
  static const TypeOps ops{.name = T::type_name,
                           .make = [] { return static_cast<void*>(new T()); },
                           .destroy = [](void* p) { delete static_cast<T*>(p); },
                           .release =
                               []([[maybe_unused]] void* p) {
                                 if constexpr (Releases<T>) static_cast<T*>(p)->release();
                               },
                           .bytes = []([[maybe_unused]] const void* p) -> size_t {
                             if constexpr (CountsBytes<T>) return static_cast<const T*>(p)->bytes();
                             return 0;
                           },
                           .copy = copy_op<T>(),
                           .releases = Releases<T>,
                           .shape = shape_op<T>(),
                           .refill = refill_op<T>(),
                           .show = show_op<T>(),
                           .plan = plan_op<T>()};
  return ops;
}

}  // namespace flowrun
