#include "graph/contract/run_params.h"

namespace flowrun {

const Choices& RunParams::device_choices() {
  static const Choices choices = {"auto", "cpu", "cuda"};
  return choices;
}
const Choices& RunParams::cuda_graphs_choices() {
  static const Choices choices = {"auto", "off"};
  return choices;
}

const Choices& RunParams::precision_choices() {
  static const Choices choices = {"auto", "fp32", "tf32", "bf16"};
  return choices;
}

}  // namespace flowrun
