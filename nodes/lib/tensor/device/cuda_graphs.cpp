// Recording on GPUs: CUDA graphs.
#include <c10/core/Event.h>
#include <c10/core/impl/VirtualGuardImpl.h>
#include <chrono>
#include <optional>

#include "nodes/lib/host/device/cuda_module.h"
#include "nodes/lib/tensor/device/recording.h"

namespace flowrun::recording {
namespace {

class Graph final : public Recording {
 public:
  explicit Graph(void* graph) : graph_(graph) {}
  ~Graph() override { CudaModule::get().graph_free(graph_); }
  Graph(const Graph&) = delete;
  Graph& operator=(const Graph&) = delete;
  void play() override { CudaModule::get().graph_play(graph_); }

 private:
  void* graph_;
};

/// One at a time, as there is one thread that submits.
class CudaGraphs final : public Recorder {
 public:
  void begin() override { graph_ = CudaModule::get().graph_begin(); }
  std::unique_ptr<Recording> end() override {
    auto graph = std::make_unique<Graph>(graph_);
    CudaModule::get().graph_end(graph_);
    return graph;
  }
  bool works_meanwhile() const override { return false; }
  void begin_pass() override {
    CudaModule::get().graph_prepare();
    began_ = recorded();
    began_at_ = std::chrono::steady_clock::now();
  }
  PassTime end_pass() override {
    const std::chrono::duration<double> host = std::chrono::steady_clock::now() - began_at_;
    const c10::Event ended = recorded();
    ended.synchronize();
    return {host.count(), 1e-3 * began_->elapsedTime(ended)};
  }

 private:
  /// An event with timing.
  static c10::Event recorded() {
    c10::Event event(at::kCUDA, c10::EventFlag::BACKEND_DEFAULT);
    const c10::impl::VirtualGuardImpl guard(at::kCUDA);
    event.record(guard.getStream(guard.getDevice()));
    return event;
  }

  static thread_local void* graph_;
  static thread_local std::optional<c10::Event> began_;
  static thread_local std::chrono::steady_clock::time_point began_at_;
};

thread_local void* CudaGraphs::graph_ = nullptr;
thread_local std::optional<c10::Event> CudaGraphs::began_;
thread_local std::chrono::steady_clock::time_point CudaGraphs::began_at_;

const bool recorder_registered = [] {
  static CudaGraphs graphs;
  register_recorder("cuda", graphs);
  return true;
}();

}  // namespace
}  // namespace flowrun::recording
