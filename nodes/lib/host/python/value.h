// Values of ports on their way to Python and back: each is one array.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "graph/contract/type_ops.h"

namespace flowrun::python {

/// Elements of an array, by the numbers that _worker.py has for them. `text` is UTF-8, JSON.
enum class Element : int64_t { none = 0, u8 = 1, i64 = 2, text = 3, boolean = 4 };
size_t size_of(Element element);

/// Row-major. Its elements belong to the value, to a worker's memory, or to itself.
struct Array {
  Element element = Element::none;
  std::vector<int64_t> shape;
  const void* elsewhere = nullptr;  // null: they are in `own`
  std::string own;
  const void* data() const { return elsewhere != nullptr ? elsewhere : own.data(); }
  int64_t count() const;
  size_t bytes() const { return static_cast<size_t>(count()) * size_of(element); }
};
constexpr size_t most_axes = 5;

/// How values of a type travel. All functions: any thread.
struct ValueType {
  const TypeOps* ops;
  Array (*pack)(const void* value);
  // Throws NodeError if the array is none of this type. `like`: the first input of the same type, or null.
  void (*unpack)(const Array& array, const void* like, void* value);
};

/// By the type's name, as ports have it ("image"). Null: values of this type don't go to Python.
const ValueType* find_value_type(const std::string& name);

}  // namespace flowrun::python
