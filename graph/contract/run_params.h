// The "run" section of a pipeline.
#pragma once

#include <cstdint>
#include <string>

#include "graph/contract/params.h"

namespace flowrun {

/// The "run" section.
struct RunParams {
  int64_t epochs = 1;
  int64_t steps = 0;
  std::string device = "auto";
  std::string precision = "auto";
  std::string cuda_graphs = "auto";
  std::string coupling = "keep";
  std::string pass = "group";
  int64_t threads = automatic;
  int64_t intra_op = automatic;
  int64_t read_ahead = automatic;
  int64_t memory_mib = 1024;
  int64_t max_bad = 0;
  double stall_after = 300;
  double rank_timeout = 600;

  void describe(auto& param) {
    param("epochs", epochs, positive, "Passes over the training source; sets the length that schedules see.");
    param.incidental()("steps", steps, not_negative, "Ends the run after this many steps without changing schedules; 0: all epochs.");
    param("device", device, device_choices(), "Where device and step nodes run; auto: a GPU where there is one, else the CPU.");
    param("precision", precision, precision_choices(),
          "Of matrix products; statistics, loss and updates stay float32. auto: bf16 on GPUs, fp32 on CPUs.");
    param.incidental()("cuda_graphs", cuda_graphs, cuda_graphs_choices(),
                       "On a GPU: auto records passes over groups whose shapes recur and plays them as CUDA graphs; off submits every kernel.");
    param("pass", pass, pass_choices(),
          "What goes through models at once. group: a group of batch.stack. rank: all groups of this rank, and batch norms take the whole step, "
          "over all ranks. Memory of so many pictures.");
    param.incidental()("coupling", coupling, coupling_choices(),
                       "Of losses over the whole batch. keep: the passes of all groups of a step stay in memory until their backward passes. again: "
                       "they run without gradients, and a second time one group at a time: a group's memory, a third more time, the same results.");
    param.incidental().with_auto(
        "threads", threads, Range{0, 1024},
        "Data threads; auto (or 0): the cores that intra_op leaves, or all cores where no device node runs on the CPU. Results don't depend on it.");
    param.with_auto("intra_op", intra_op, Range{0, 1024},
                    "Threads inside tensor operations on the CPU; auto (or 0): all cores, less one in four for data threads where there are four or "
                    "more. Changes the last bits of losses, so the resolved pipeline holds it.");
    param.incidental().with_auto(
        "read_ahead", read_ahead, Range{0, 4096},
        "How many samples ahead the storage is asked for its data; 0: none; auto: 64 once reads are slow. Results don't depend on it.");
    param.incidental()("memory_mib", memory_mib, Range{1, 1 << 30}, "Budget of the batches in flight on the host, in MiB.");
    param.incidental()(
        "max_bad", max_bad, not_negative,
        "How many samples of the training source may fail and be replaced before the run fails; each counts once, however often it recurs. "
        "Evaluations read every sample or fail. A resumed run may have another number.");
    param.incidental()("stall_after", stall_after, Range{0, 1e9},
                       "Seconds without a finished step, or batch of an evaluation, after which the log says what waits for what; 0: never.");
    param.incidental()("rank_timeout", rank_timeout, Range{1, 1e7},
                       "Seconds that a rank waits for the others, at the start and in every exchange, before it gives up.");
  }

 private:
  static const Choices& device_choices();
  static const Choices& precision_choices();
  static const Choices& cuda_graphs_choices();
  static const Choices& coupling_choices();
  static const Choices& pass_choices();
};

}  // namespace flowrun
