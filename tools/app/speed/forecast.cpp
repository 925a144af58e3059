#include "tools/app/speed/forecast.h"

#include <algorithm>
#include <cmath>

namespace flowrun::app {

Forecaster::Forecaster(const Measurement& whole, const Measurement* input, const Measurement* device, double cores)
    : measured_{cores, static_cast<double>(whole.threads)} {
  if (input != nullptr) {
    const auto images = static_cast<double>(input->images);
    // The time of nodes beyond their time on a core, and beyond the time lost to other programs: waiting for files, or
    // sleep.
    const double beyond = input->sum(false, &NodeTimes::busy) - input->sum(false, &NodeTimes::cpu) - input->delayed;
    times_.host_waiting = std::max(0.0, beyond) / images;
    times_.host_cpu = input->sum(false, &NodeTimes::cpu) / images;
    times_.host_nodes = times_.host_cpu;
    // The engine's own time between nodes also counts for the data threads, when nothing else keeps them waiting.
    const double threads_cpu = std::min(input->cpu_seconds, input->seconds * input->threads) / images;
    times_.host_cpu = std::max(times_.host_cpu, threads_cpu);
  }
  if (device != nullptr) {
    const auto images = static_cast<double>(device->images);
    times_.device = device->seconds / images;
    times_.device_cpu = device->cpu_seconds / images;
  }
  compare_with(whole.rate());
}

Forecaster::Forecaster(const ServiceTimes& times, const Setting& measured, double rate) : times_(times), measured_(measured) { compare_with(rate); }

void Forecaster::compare_with(double rate) {
  const double limit = bound(times_, measured_).images_per_second;
  if (limit > 0) reached_ = rate / limit;
}

Forecaster Forecaster::contending(double contention) const {
  ServiceTimes times = times_;
  times.contention = contention;
  return {times, measured_, at(measured_).images_per_second};
}

namespace {

/// Seconds of an image when host and device share the cores. Work of the host beyond the cores that the device leaves
/// delays the device: an operation ends when its last thread does.
double seconds_on_cores(const ServiceTimes& times, const Setting& setting) {
  if (times.device <= 0 || times.device_cpu <= 0) return times.host_cpu / setting.cores;
  const double busy = times.device / std::max(1.0, setting.device_speed);
  const double resting = times.device / setting.device_speed - busy;  // a slower side keeps no core busier
  const double taken = std::min(times.device_cpu / times.device, setting.cores), left = setting.cores - taken;
  const double contention = times.contention > 0 ? times.contention : 1 / taken;
  return (busy + resting + contention * (times.host_cpu - taken * resting)) / (1 + contention * left);
}

}  // namespace

Forecast Forecaster::bound(const ServiceTimes& times, const Setting& setting) {
  Forecast best{INFINITY, ""};
  const auto limit = [&](double rate, const char* name) {
    if (rate < best.images_per_second) best = {rate, name};
  };
  const double host = times.host_cpu + times.host_waiting;
  if (host > 0) limit(setting.threads / host, "data threads");
  if (times.device > 0) limit(setting.device_speed / times.device, "device");
  if (const double seconds = seconds_on_cores(times, setting); seconds > 0) limit(1 / seconds, "cores");
  return best;
}

Forecast Forecaster::at(const Setting& setting) const {
  Forecast out = bound(times_, setting);
  out.images_per_second *= reached_;
  return out;
}

Forecast Forecaster::regrouped(double device, bool one_at_a_time) const {
  ServiceTimes times = times_;
  times.device *= device, times.device_cpu *= device;
  Forecast out = bound(times, measured_);
  if (one_at_a_time) out = {1 / ((times.host_cpu + times.host_waiting) / measured_.threads + times.device), "order"};
  out.images_per_second *= reached_;
  return out;
}

/// A slowed device sleeps, a slowed host works: see StreamOptions.
Forecast Forecaster::slowed(double host, double device) const {
  ServiceTimes times = times_;
  times.host_cpu += (host - 1) * times_.host_nodes;
  Forecast out = bound(times, {measured_.cores, measured_.threads, 1 / device});
  // The measured run's time beyond its bound is kept: sleep and continuous work add nothing to it.
  const double beyond = (1 / reached_ - 1) / bound(times_, measured_).images_per_second;
  out.images_per_second = 1 / (1 / out.images_per_second + beyond);
  return out;
}

}  // namespace flowrun::app
