// Recording on GPUs: CUDA graphs.
#include "nodes/device/cuda_module.h"
#include "nodes/device/recording.h"

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

 private:
  static thread_local void* graph_;
};

thread_local void* CudaGraphs::graph_ = nullptr;

const bool registered = [] {
  static CudaGraphs graphs;
  register_recorder("cuda", graphs);
  return true;
}();

}  // namespace
}  // namespace flowrun::recording
