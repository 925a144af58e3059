// The arrays inside a value, for programs that read it without a copy.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace flowrun {

/// A dense array, row-major, in host memory that belongs to the value: valid as long as the value, and not changed by others.
struct ArrayView {
  enum class Element { u8, boolean, i64, f32 };
  std::string name;  // among the value's arrays; empty where it has only this one
  Element element;
  std::vector<int64_t> shape;
  void* data;
};

/// Lists the arrays of a value; those that are empty in this run are left out. Any thread.
using ListArrays = std::vector<ArrayView> (*)(void* value);

/// Called once for each type, when its library is loaded. Types of group records need it, so that `flowrun.open` of Python can give them.
void register_arrays(const std::string& type_name, ListArrays list);

/// Null: values of the type can't be read as arrays.
ListArrays arrays_of_type(const std::string& type_name);

}  // namespace flowrun
