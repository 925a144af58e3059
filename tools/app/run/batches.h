// The input of a pipeline for another program: batches made ahead, and handed over without a copy.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "graph/contract/arrays.h"
#include "tools/app/load/load.h"

namespace flowrun::app {

struct BatchesArgs {
  PipelineArgs pipeline;
  std::vector<std::string> until;  // nodes whose outputs are handed over; empty: the batch nodes that lead to training
  int64_t epochs = 0;              // 0: run.epochs
  int threads = 0;                 // 0: run.threads, else all cores
  int ahead = 2;                   // batches that wait for the reader
  int rank = 0, world = 1;         // ranks only share the groups of a step; they don't talk
};

/// One output of a node.
struct BatchValue {
  std::string node, port;
  std::vector<ArrayView> arrays;  // those that are not empty
};

/// A group of samples of one step, as the pipeline's batch nodes made it. Its memory is lent: it goes back when the last copy of `owner` is
/// gone, which may outlive the Batches.
struct Batch {
  int64_t step = 0;   // 1-based
  int64_t epoch = 0;  // 0-based
  int64_t group = 0;  // in the step, over all ranks
  int64_t images = 0;
  std::vector<BatchValue> values;
  std::shared_ptr<void> owner;
};

/// Threads of its own make the batches in the order of the run, the same for any number of threads. One reader; `close` may be called by
/// another thread. In a forked child what depends on the place of reading throws RunError, and close() does nothing.
class Batches {
 public:
  /// Opens the sources. Throws PipelineError and RunError.
  explicit Batches(BatchesArgs args);
  ~Batches();
  Batches(const Batches&) = delete;
  Batches& operator=(const Batches&) = delete;

  /// Waits for the next batch; none: all epochs are over. Throws RunError at the first sample that fails (run.max_bad), for good.
  std::optional<Batch> next();
  /// next() goes on from here: so many groups, over all ranks, are done. Throws PipelineError where that is no place of this rank's.
  void seek(int64_t groups);
  /// Batches of this rank before the next one, counted from the run's beginning.
  int64_t given() const;
  /// What seek() would take; nothing inside a step that several ranks share.
  std::optional<int64_t> position() const;
  /// The ledger of the step before position(), as the run's metrics have it: on this rank, of the nodes that are there. None: no step has been
  /// read whole since opening or seek().
  std::optional<uint64_t> ledger() const;

  int64_t batches_per_epoch() const;  // on this rank
  int64_t groups_per_step() const;    // over all ranks
  int64_t epochs() const;
  int64_t samples_per_batch() const;
  /// The names of the nodes whose outputs are handed over.
  const std::vector<std::string>& nodes() const;
  /// Classes of the source by label; empty: there are none, or nothing reads labels.
  const std::vector<std::string>& classes() const;
  /// Ends the threads. next() throws afterwards.
  void close();

 private:
  class Impl;
  Impl& here() const;
  std::unique_ptr<Impl> impl_;
};

}  // namespace flowrun::app
