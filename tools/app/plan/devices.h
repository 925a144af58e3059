// Devices to plan for, with their makers' numbers. None of the numbers is a measurement.
#pragma once

#include <string>
#include <vector>

namespace flowrun::app {

struct DeviceFacts {
  const char* name;
  const char* what;
  double memory_gb;   // 1e9 bytes
  double bf16, fp32;  // 1e12 operations a second, dense; fp32 without TF32, which runs don't use
  double tf32;        // for comparison; 0: there is none
  double memory_gbs;  // 1e9 bytes a second, as the next two
  double link_gbs;    // to another device of the machine, one way
  double net_gbs;     // to another machine, one way, for each device
  int per_machine;
  int cores;  // of a machine
  const char* source;
  bool on_host = false;  // work of the device and of the data threads share the cores
};

const std::vector<DeviceFacts>& devices();
std::vector<std::string> device_names();
/// Throws PipelineError that lists them.
const DeviceFacts& find_device(const std::string& name);

}  // namespace flowrun::app
