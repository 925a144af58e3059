#include "graph/contract/planned.h"

#include <algorithm>
#include <cstdio>

namespace flowrun {

Cost& Cost::operator+=(const Cost& other) {
  flops += other.flops, saved += other.saved;
  working = std::max(working, other.working);  // one after the other
  return *this;
}

bool NodePlan::reads(const std::string& port) const {
  return read_ports == nullptr || std::find(read_ports->begin(), read_ports->end(), port) != read_ports->end();
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

Planned NodePlan::known(const std::string& input) const {
  const auto found = in.find(input);
  return found != in.end() && found->second.certain ? found->second : Planned();
}

void NodePlan::fault(std::string at, std::string message, std::string hint) {
  faults.push_back({std::move(at), std::move(message), std::move(hint)});
}

void NodePlan::require_width(const std::string& input, int64_t width, const std::string& name, const std::string& hint) {
  const double found = known(input).width;
  if (found == 0 || found == static_cast<double>(width)) return;
  fault(input, "the width of " + input + " is " + count_text(found) + ", but " + name + " takes " + std::to_string(width), hint);
}

void NodePlan::require_equal(const char* what, const std::string& a, double Planned::*size, const std::string& b, const std::string& hint) {
  const double first = known(a).*size, second = known(b).*size;
  if (first == 0 || second == 0 || first == second) return;
  fault(b, "the " + std::string(what) + " of " + a + " is " + count_text(first) + ", that of " + b + " " + count_text(second), hint);
}

}  // namespace flowrun
