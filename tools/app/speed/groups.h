// Forecasts a pipeline's speed with another number of groups in a batch.
#pragma once

#include <nlohmann/json.hpp>

#include "tools/app/load/load.h"
#include "tools/app/speed/study.h"

namespace flowrun::app {

/// The device's time of an image is call/group + work: one part for each call, whatever the size of the group, and one for
/// each image. The two follow from the device's side alone with two sizes of groups; the host's times stay.
class Regrouping {
 public:
  /// Measures both sizes; says so. Throws PipelineError if the batch can't be divided that way.
  Regrouping(const PipelineArgs& pipeline, int64_t groups, const StudyResult& study, double seconds, const Say& say);

  /// Group size, calls a step, records and bytes in flight, images a second.
  nlohmann::ordered_json forecast(const StudyResult& study, const Forecaster& forecaster) const;
  /// The pipeline with that many groups.
  const PipelineArgs& changed() const { return changed_; }
  /// Forecast of images a second, if the unchanged pipeline gives `now`.
  double scaled(double now, const Forecaster& forecaster) const;

 private:
  PipelineArgs with_group(int64_t group) const;
  Forecast at(const Forecaster& forecaster) const;

  PipelineArgs pipeline_, changed_;
  std::string node_;
  Grouping now_{};
  int64_t group_, records_ = 1, memory_;
  double bytes_per_image_ = 0;
  double call_ = 0, work_ = 0;  // seconds
};

}  // namespace flowrun::app
