#include "nodes/lib/tensor/ranks/ranks.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>
#include <algorithm>
#include <c10/util/Exception.h>
#include <sstream>
#include <torch/csrc/distributed/c10d/reducer.hpp>
#include <utility>

#include "nodes/lib/tensor/device/torch_device.h"
#include "nodes/lib/tensor/ranks/group.h"

namespace flowrun::ranks {
namespace {

TensorRanks& of(const RunInfo& run) { return static_cast<TensorRanks&>(*run.ranks); }

/// "5 32 7": type, then the axes; empty for an undefined tensor.
std::string shape_text(const Tensor& t) {
  if (!t.defined()) return "";
  std::string out = std::to_string(static_cast<int>(t.scalar_type()));
  for (const int64_t size : t.sizes()) out += " " + std::to_string(size);
  return out;
}

struct Shape {
  at::ScalarType type{};
  std::vector<int64_t> sizes;
  explicit Shape(const std::string& text) {
    std::istringstream in(text);
    int number = 0;
    in >> number;
    type = static_cast<at::ScalarType>(number);
    for (int64_t size = 0; in >> size;) sizes.push_back(size);
  }
};

/// c10d advises to declare when all parameters are used. That depends on the pipeline, and finding out costs little.
class NoAdvice final : public c10::WarningHandler {
 public:
  void process(const c10::Warning& warning) override {
    if (warning.msg().find("find_unused_parameters") == std::string::npos) log_warning(warning.msg());
  }
};

class Reduced final : public GradientExchange {
 public:
  Reduced(const RunInfo& run, std::vector<Tensor> parameters, std::vector<std::string> names) : ranks_(of(run)) {
    // Gradients become ready in reverse order; so the buckets are reversed.
    std::reverse(parameters.begin(), parameters.end());
    std::reverse(names.begin(), names.end());
    std::unordered_map<size_t, std::string> named;
    for (size_t i = 0; i < names.size(); ++i) named[i] = names[i];
    const auto [buckets, limits] = c10d::compute_bucket_assignment_by_size(
        parameters, {static_cast<size_t>(c10d::kDefaultFirstBucketBytes), static_cast<size_t>(c10d::kDefaultBucketBytesCap)});
    const std::vector<bool> sparse(parameters.size(), false);
    // Users need not declare which parameters a loss reaches: unreached ones are found in its graph.
    reducer_ =
        std::make_unique<c10d::Reducer>(std::move(parameters), buckets, ranks_.gradient_group(run.device), sparse, c10d::kDefaultBucketBytesCap,
                                        /*find_unused_parameters=*/true, /*gradient_as_bucket_view=*/false, std::move(named),
                                        c10d::kDefaultFirstBucketBytes, /*skip_all_reduce_unused_params=*/false,
                                        /*use_python_reducer=*/false, std::vector<int64_t>{});
  }

  void backward(const Tensor& loss, bool last) override {
    if (!last) return loss.backward();
    const c10::WarningUtils::WarningHandlerGuard guard(&no_advice_);
    ranks_.begin(what);
    try {
      reducer_->prepare_for_backward({loss});
      loss.backward();
    } catch (const std::exception& error) {
      ranks_.missing(what, "all-reduce", error.what());
    }
    ranks_.end(what);
  }

 private:
  static constexpr const char* what = "the exchange of gradients";

  TensorRanks& ranks_;
  NoAdvice no_advice_;
  std::unique_ptr<c10d::Reducer> reducer_;
};

class Alone final : public GradientExchange {
 public:
  void backward(const Tensor& loss, bool) override { loss.backward(); }
};

}  // namespace

Tensor sum(const RunInfo& run, const Tensor& mine, const std::string& what) {
  Tensor host = mine.to(at::kCPU, at::kDouble).contiguous();
  if (run.ranks == nullptr) return host;
  host = host.clone();
  of(run).all_reduce(host, what);
  return host;
}

void average(const RunInfo& run, const std::vector<Tensor>& tensors, const std::string& what) {
  if (run.ranks == nullptr || tensors.empty()) return;
  const at::NoGradGuard no_grad;
  std::vector<Tensor> flat;
  for (const Tensor& tensor : tensors) flat.push_back(tensor.flatten());
  std::vector<Tensor> all = {at::cat(flat)};
  of(run).begin(what);
  try {
    of(run).gradient_group(run.device)->allreduce(all)->wait();
  } catch (const std::exception& error) {
    of(run).missing(what, "all-reduce", error.what());
  }
  of(run).end(what);
  all[0].div_(run.world);
  int64_t begin = 0;
  for (const Tensor& tensor : tensors) {
    tensor.copy_(all[0].narrow(0, begin, tensor.numel()).view_as(tensor));
    begin += tensor.numel();
  }
}

Tensor device_rows(const RunInfo& run, const Tensor& mine, const std::string& what) {
  if (run.ranks == nullptr) return mine;
  const at::NoGradGuard no_grad;
  std::vector<int64_t> sizes = mine.sizes().vec();
  sizes[0] *= run.world;
  Tensor all = at::empty(sizes, mine.options().requires_grad(false));
  std::vector<std::vector<Tensor>> out(1);
  for (int rank = 0; rank < run.world; ++rank) out[0].push_back(all.narrow(0, rank * mine.size(0), mine.size(0)));
  std::vector<Tensor> in = {mine.detach().contiguous()};
  of(run).begin(what);
  try {
    of(run).gradient_group(run.device)->allgather(out, in)->wait();
  } catch (const std::exception& error) {
    of(run).missing(what, "all-gather", error.what());
  }
  of(run).end(what);
  return all;
}

Tensor device_sum(const RunInfo& run, const Tensor& mine, const std::string& what) {
  if (run.ranks == nullptr) return mine;
  const at::NoGradGuard no_grad;
  std::vector<Tensor> all = {mine.detach().clone()};
  of(run).begin(what);
  try {
    of(run).gradient_group(run.device)->allreduce(all)->wait();
  } catch (const std::exception& error) {
    of(run).missing(what, "all-reduce", error.what());
  }
  of(run).end(what);
  return all[0];
}

/// The offsets of each owner's tensors when they are concatenated.
class Rows {
 public:
  struct Part {
    size_t tensor;
    int64_t begin, size;
  };
  Rows(const std::vector<Tensor>& tensors, const std::vector<int>& owners, int world) : parts_(static_cast<size_t>(world)) {
    std::vector<int64_t> sizes(static_cast<size_t>(world));
    for (size_t i = 0; i < tensors.size(); ++i) {
      const auto owner = static_cast<size_t>(owners[i]);
      parts_[owner].push_back({i, sizes[owner], tensors[i].numel()});
      longest_ = std::max(longest_, sizes[owner] += tensors[i].numel());
    }
    // Each rank's share of a piece, so that the shares of all ranks fill a bucket.
    piece_ = std::clamp<int64_t>((int64_t{32} << 20) / 4 / world, 1, std::max<int64_t>(longest_, 1));
  }
  int64_t longest() const { return longest_; }
  int64_t piece() const { return piece_; }
  /// Calls take(tensor, its part, the part of the piece) for what rank `rank` has of the piece at `begin`.
  template <class Take>
  void each(int rank, int64_t begin, const Tensor& piece, const std::vector<Tensor>& tensors, Take&& take) const {
    for (const Part& part : parts_[static_cast<size_t>(rank)]) {
      const int64_t from = std::max(begin, part.begin), to = std::min(begin + piece_, part.begin + part.size);
      if (from < to) take(tensors[part.tensor].view(-1).narrow(0, from - part.begin, to - from), piece.narrow(0, from - begin, to - from));
    }
  }

 private:
  std::vector<std::vector<Part>> parts_;
  int64_t longest_ = 0, piece_ = 1;
};

void share(const RunInfo& run, const std::vector<Tensor>& tensors, const std::vector<int>& owners, const std::string& what) {
  if (run.ranks == nullptr || tensors.empty()) return;
  const at::NoGradGuard no_grad;
  const Rows rows(tensors, owners, run.world);
  const Tensor all = at::empty({run.world, rows.piece()}, tensors[0].options().requires_grad(false));
  std::vector<std::vector<Tensor>> out(1);
  for (int rank = 0; rank < run.world; ++rank) out[0].push_back(all[rank]);
  std::vector<Tensor> in = {at::zeros({rows.piece()}, all.options())};
  of(run).begin(what);
  for (int64_t begin = 0; begin < rows.longest(); begin += rows.piece()) {
    rows.each(run.rank, begin, in[0], tensors, [](const Tensor& tensor, const Tensor& piece) { piece.copy_(tensor); });
    try {
      of(run).gradient_group(run.device)->allgather(out, in)->wait();
    } catch (const std::exception& error) {
      of(run).missing(what, "all-gather", error.what());
    }
    for (int rank = 0; rank < run.world; ++rank) {
      if (rank == run.rank) continue;
      rows.each(rank, begin, all[rank], tensors, [](const Tensor& tensor, const Tensor& piece) { tensor.copy_(piece); });
    }
  }
  of(run).end(what);
}

std::vector<Tensor> gather_to_first(const RunInfo& run, const std::vector<Tensor>& mine, const std::vector<Tensor>& like,
                                    const std::vector<int>& owners, const std::string& what) {
  std::vector<Tensor> out;
  if (run.ranks == nullptr || like.empty()) return mine;
  const at::NoGradGuard no_grad;
  if (run.rank == 0) {
    for (const Tensor& tensor : like) out.push_back(at::empty(tensor.sizes(), tensor.scalar_type()));
  }
  const Rows rows(like, owners, run.world);
  const Tensor host = at::zeros({rows.piece()}, like[0].scalar_type());
  for (int64_t begin = 0; begin < rows.longest(); begin += rows.piece()) {
    rows.each(run.rank, begin, host, mine, [](const Tensor& tensor, const Tensor& piece) { piece.copy_(tensor); });
    const std::vector<Tensor> all = of(run).gather_to_first(host, what);
    for (size_t rank = 0; rank < all.size(); ++rank) {
      rows.each(static_cast<int>(rank), begin, all[rank], out, [](const Tensor& tensor, const Tensor& piece) { tensor.copy_(piece); });
    }
  }
  return out;
}

void on_snapshot(const RunInfo& run, std::function<void()> work) {
  if (run.ranks != nullptr) of(run).before_snapshot.push_back(std::move(work));
}

bool prepare_snapshot(const RunInfo& run) {
  if (run.ranks == nullptr || of(run).before_snapshot.empty()) return true;
  if (!run.ranks->together()) return false;
  for (const auto& work : of(run).before_snapshot) work();
  return true;
}

int64_t most(const RunInfo& run, int64_t mine, const std::string& what) {
  if (run.ranks == nullptr) return mine;
  std::vector<int64_t> all(static_cast<size_t>(run.world));
  all[static_cast<size_t>(run.rank)] = mine;
  run.ranks->sum(all, what);
  return *std::max_element(all.begin(), all.end());
}

Tensor rows(const RunInfo& run, const Tensor& mine, const std::string& what) {
  if (run.ranks == nullptr) return mine;
  std::vector<Shape> shapes;
  int64_t most = 0;
  const Shape* like = nullptr;
  for (const std::string& text : of(run).gather(shape_text(mine), what)) shapes.emplace_back(text);
  for (const Shape& shape : shapes) {
    if (shape.sizes.empty()) continue;
    most = std::max(most, shape.sizes[0]);
    like = &shape;
  }
  if (like == nullptr) return mine;
  std::vector<int64_t> sizes = like->sizes;
  sizes[0] = most;
  const Tensor padded = at::empty(sizes, like->type);
  if (mine.defined()) padded.narrow(0, 0, mine.size(0)).copy_(mine);
  std::vector<Tensor> parts;
  const std::vector<Tensor> all = of(run).all_gather(padded, what);
  for (size_t rank = 0; rank < all.size(); ++rank) {
    if (!shapes[rank].sizes.empty()) parts.push_back(all[rank].narrow(0, 0, shapes[rank].sizes[0]));
  }
  return at::cat(parts).to(torch_device(run));
}

Tensor rows(const RunInfo& run, std::vector<Tensor>& mine, const std::string& what) {
  const std::vector<Tensor> groups = std::exchange(mine, {});
  return rows(run, groups.empty() ? Tensor() : at::cat(groups), what);
}

std::unique_ptr<GradientExchange> gradient_exchange(const RunInfo& run, std::vector<Tensor> parameters, std::vector<std::string> names) {
  if (run.ranks == nullptr) return std::make_unique<Alone>();
  return std::make_unique<Reduced>(run, std::move(parameters), std::move(names));
}

}  // namespace flowrun::ranks
