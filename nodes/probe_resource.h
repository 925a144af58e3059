// The heads on a frozen encoder, as nodes refer to them.
#pragma once

#include <memory>

#include "nodes/model/probe.h"
#include "nodes/model_resources.h"

namespace flowrun {

class ProbeResource final : public ModelResource {
 public:
  static constexpr const char* kind = "probe";

  explicit ProbeResource(const model::ProbeConfig& config) : probe(config) {}
  model::Parameters& parameters() override { return probe.parameters(); }
  std::unique_ptr<ModelResource> clone() const override;
  State save() const override;
  void restore(const State& state) override;

  model::Probe probe;
};

}  // namespace flowrun
