// Forecasts a pipeline's speed on other cores, threads or devices, from measured service times. The bounds are those of
// a closed network of two stations that share cores (operational analysis: Denning and Buzen, 1978): the slower
// station, or the cores together; the share of its bound that the measured run reached is assumed to stay.
#pragma once

#include <string>
#include <vector>

#include "tools/app/speed/measure.h"

namespace flowrun::app {

/// Seconds per image. Host: on one data thread; cpu: on a core; waiting: for files, or asleep. Device: its thread; cpu: on
/// cores, all threads inside operations together.
struct ServiceTimes {
  double host_cpu = 0, host_waiting = 0;
  double host_nodes = 0;  // of host_cpu: inside nodes, not between them
  double device = 0, device_cpu = 0;
  /// Seconds by which a second of the host's work delays a device that uses all cores; 0: not measured, as if there were no
  /// delay.
  double contention = 0;
};

struct Setting {
  double cores, threads;    // data threads
  double device_speed = 1;  // times as fast
};

struct Forecast {
  double images_per_second = 0;
  std::string bound;  // "data threads", "device", "cores"
};

class Forecaster {
 public:
  /// `whole`: the pipeline; `input`, `device`: its halves alone, null where there is no such half. `cores` of the machine.
  Forecaster(const Measurement& whole, const Measurement* input, const Measurement* device, double cores);
  /// The same, knowing how host and device contend for cores.
  Forecaster contending(double contention) const;
  /// `rate`: images a second of the run that took these times.
  Forecaster(const ServiceTimes& times, const Setting& measured, double rate);

  Forecast at(const Setting& setting) const;
  /// The forecast on the measured machine, if nodes of the host or the device took this many times as long.
  Forecast slowed(double host, double device) const;
  /// The forecast if the device's time of an image were this many times as long; one group at a time: without overlap
  /// of the two sides.
  Forecast regrouped(double device, bool one_at_a_time) const;
  const Setting& measured() const { return measured_; }
  const ServiceTimes& times() const { return times_; }
  /// The share of its bound that the measured run reached.
  double reached() const { return reached_; }

 private:
  void compare_with(double rate);
  static Forecast bound(const ServiceTimes& times, const Setting& setting);

  ServiceTimes times_;
  Setting measured_;
  double reached_ = 1;
};

}  // namespace flowrun::app
