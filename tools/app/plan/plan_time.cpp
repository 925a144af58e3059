#include "tools/app/plan/plan_time.h"

#include <algorithm>
#include <cmath>

namespace flowrun::app {
namespace {

/// Largest bucket of c10d's Reducer: the last one is exchanged when the backward pass is over.
constexpr double bucket_bytes = 25 << 20;

}  // namespace

double StepTime::total() const { return std::max({device(), host, storage}); }

double ring_seconds(int64_t world, double bytes, double bandwidth) {
  const auto n = static_cast<double>(world);
  return 2 * (n - 1) / n * bytes / bandwidth;
}

StepTime step_time(const StepModel& model, int64_t world) {
  const auto n = static_cast<double>(world);
  const double bandwidth = world <= model.per_machine ? model.link : model.net;
  StepTime out;
  out.compute = model.batch / n * model.seconds_per_image;
  out.update = model.update_seconds - (model.sharded ? model.optimizer_seconds * (1 - 1 / n) : 0);
  if (world > 1) {
    out.exchange = ring_seconds(world, model.gradient_bytes, bandwidth);
    const double early = 1 - std::min(bucket_bytes, model.gradient_bytes) / std::max(1.0, model.gradient_bytes);
    out.hidden = std::min(out.exchange * early, model.group * model.seconds_per_image * model.backward_share);
    out.rows = ring_seconds(world, model.row_bytes, bandwidth) / 2;
    out.gather = model.sharded ? ring_seconds(world, model.gradient_bytes, bandwidth) / 2 : 0;
    // Messages of recursive doubling: in each round one that a rank is ready, and one with the numbers.
    out.agreement = 2 * std::ceil(std::log2(n)) * model.latency;
  }
  const double machines = std::max(1.0, n / static_cast<double>(model.per_machine));
  if (model.host_images > 0) out.host = model.batch / machines / model.host_images;
  if (model.storage_images > 0) out.storage = model.batch / machines / model.storage_images;
  return out;
}

double efficiency(const StepModel& model, int64_t world) {
  StepModel fed = model;
  fed.host_images = fed.storage_images = 0;
  return step_time(fed, 1).total() / (static_cast<double>(world) * step_time(model, world).total());
}

Loss largest_loss(const StepModel& model, int64_t world) {
  const StepTime time = step_time(model, world);
  const double total = time.total();
  std::vector<Loss> all = {{"the update of the weights", time.update / total},
                           {"the exchange of gradients", (time.exchange - time.hidden) / total},
                           {"the exchange of rows for losses over the whole batch", time.rows / total},
                           {"the exchange of updated weights", time.gather / total},
                           {"the agreement at the end of a step", time.agreement / total},
                           {"the cores of the hosts", (time.host - time.device()) / total},
                           {"the storage", (time.storage - std::max(time.device(), time.host)) / total}};
  const auto most = std::max_element(all.begin(), all.end(), [](const Loss& a, const Loss& b) { return a.share < b.share; });
  return most->share > 0 ? *most : Loss{};
}

std::vector<int64_t> worlds_of(int64_t groups) {
  std::vector<int64_t> out;
  for (int64_t world = 1; world <= groups; ++world) {
    if (groups % world == 0) out.push_back(world);
  }
  return out;
}

}  // namespace flowrun::app
