// How long a step takes on any number of ranks, from counts and rates. Pure arithmetic.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace flowrun::app {

struct StepModel {
  double batch = 0, group = 0;   // images
  double seconds_per_image = 0;  // forward and backward, on one device
  double backward_share = 0;     // of that
  double update_seconds = 0;     // optimizer and moving averages, all on one device
  double optimizer_seconds = 0;  // of that, what sharded states divide among the ranks
  double gradient_bytes = 0;     // that a rank exchanges
  double row_bytes = 0;          // that every rank gets of all groups, for losses over the whole batch
  double link = 0, net = 0;      // bytes a second that a rank sends: within a machine, between machines
  double latency = 0;            // seconds of a message
  int64_t per_machine = 1;
  bool sharded = false;
  double host_images = 0;     // images a second that the cores of a machine prepare; 0: no limit
  double storage_images = 0;  // and its storage reads
};

struct StepTime {
  double compute = 0, update = 0;
  double exchange = 0, hidden = 0;  // all-reduce; what the backward pass of the last group covers
  double rows = 0;                  // all-gather for losses over the whole batch, before any backward pass
  double gather = 0;                // of weights that other ranks have updated
  double agreement = 0;
  double host = 0, storage = 0;  // time of a step's input, which overlaps with the rest
  double device() const { return compute + update + rows + exchange - hidden + gather + agreement; }
  double total() const;
};

/// `world` divides the groups of a step.
StepTime step_time(const StepModel& model, int64_t world);
/// 2 (n - 1) / n * bytes / bandwidth: a reduce-scatter and an all-gather around a ring (Patarasuk and Yuan, 2009).
double ring_seconds(int64_t world, double bytes, double bandwidth);
/// Images a second over those of `world` devices that work alone.
double efficiency(const StepModel& model, int64_t world);

/// The largest cost of a step besides passes over images: "the exchange", "the update", …; empty: none is large.
struct Loss {
  std::string what;
  double share = 0;  // of the step
};
Loss largest_loss(const StepModel& model, int64_t world);
/// Worlds that can share this many groups, increasing.
std::vector<int64_t> worlds_of(int64_t groups);

}  // namespace flowrun::app
