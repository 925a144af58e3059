#include "graph/contract/run_params.h"

#include <algorithm>

#include "graph/contract/device.h"

namespace flowrun {

const Choices& RunParams::device_choices() {
  static const Choices choices = [] {
    Choices out = {"auto"};
    for (const DeviceRuntime* kind : devices()) out.push_back(kind->info().name);
    return out;
  }();
  return choices;
}

const Choices& RunParams::precision_choices() {
  static const Choices choices = [] {
    Choices out = {"auto"};
    for (const DeviceRuntime* kind : devices()) {
      for (const std::string& one : kind->info().precisions) {
        if (std::find(out.begin(), out.end(), one) == out.end()) out.push_back(one);
      }
    }
    return out;
  }();
  return choices;
}

const Choices& RunParams::pass_choices() {
  static const Choices choices = {"group", "rank"};
  return choices;
}

const Choices& RunParams::coupling_choices() {
  static const Choices choices = {"keep", "again"};
  return choices;
}

const Choices& RunParams::cuda_graphs_choices() {
  static const Choices choices = {"auto", "off"};
  return choices;
}

}  // namespace flowrun
