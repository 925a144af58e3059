#include "graph/contract/planned.h"

#include <algorithm>
#include <cstdio>

namespace flowrun {

Cost& Cost::operator+=(const Cost& other) {
  flops += other.flops, saved += other.saved;
  working = std::max(working, other.working);  // one after the other
  return *this;
}

std::string count_text(double value) {
  char text[32];
  std::snprintf(text, sizeof text, value == static_cast<double>(static_cast<int64_t>(value)) ? "%.0f" : "%.1f", value);
  return text;
}

Planned Planned::of(std::initializer_list<double> axes, const char* type, double each) {
  Planned out;
  out.bytes = each;
  for (const double axis : axes) out.text += (out.text.empty() ? "" : " x ") + count_text(axis), out.bytes *= axis;
  out.text += std::string(" ") + type;
  return out;
}

Planned Planned::both(const std::string& a_name, const Planned& a, const std::string& b_name, const Planned& b) {
  Planned out;
  out.text = a_name + " " + a.text + ", " + b_name + " " + b.text;
  out.bytes = a.bytes + b.bytes;
  return out;
}

}  // namespace flowrun
