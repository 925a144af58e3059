#include "nodes/lib/tensor/model/norm_passes.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/stack.h>
#include <cmath>
#include <utility>
#include <vector>

#include "graph/text/error.h"
#include "nodes/lib/tensor/device/send.h"
#include "nodes/lib/tensor/model/batch_norm.h"

namespace flowrun::model {
namespace {

/// The numbers below `count` in a random order.
Tensor shuffled(int64_t count, const GroupContext& context) {
  Rng rng = context.rng();
  rng.seek(1 << 20);  // behind what drop path takes
  Tensor order = at::arange(count, at::kLong);
  int64_t* const at = order.mutable_data_ptr<int64_t>();
  for (int64_t i = count - 1; i > 0; --i) std::swap(at[i], at[rng.below(static_cast<uint32_t>(i + 1))]);
  return order;
}

}  // namespace

const Choices& statistics_choices() {
  static const Choices choices = {"auto", "view", "batch", "running"};
  return choices;
}

bool measures(Module& model, const std::string& statistics, bool train) {
  if (model.norms() == nullptr || model.frozen()) return false;
  return statistics == "auto" ? train : statistics != "running";
}

void Splits::plan(NodePlan& plan) const {
  if (plan.group.per_rank && count > 1) {
    plan.fault("splits", "splits cuts groups, and with run.pass \"rank\" all groups of a rank are one", "set run.pass to \"group\"");
    return;
  }
  const double pictures = plan.group.images / plan.group.views;
  if (pictures > 0 && std::fmod(pictures, static_cast<double>(count)) != 0) {
    plan.fault("splits", "a group of " + count_text(pictures) + " pictures can't be cut into " + std::to_string(count) + " equal parts");
  }
}

NormPass norm_pass(bool measures, const GroupContext& context) {
  return {.measures = measures, .group = context.group, .stream = context.stream, .run = context.run.pass_per_rank ? &context.run : nullptr};
}

Tensor draw_drop_path(const Encoder& encoder, const GroupContext& context, int64_t images, at::Device device) {
  if (!encoder.drops()) return {};
  std::vector<Tensor> parts;
  for (int64_t part = 0; part < context.parts; ++part) parts.push_back(encoder.draw_drop_path(context.rng(part), images / context.parts));
  const Tensor all = parts.size() == 1 ? parts[0] : at::cat(parts, 1);
  return all.defined() ? send(all, device) : all;
}

Tensor for_each_view(const Tensor& x, int64_t views, bool measures, const GroupContext& context,
                     const std::function<Tensor(const Tensor&, const NormPass&)>& pass, const Splits& splits) {
  NormPass norm = norm_pass(measures, context);
  if (!measures || (views == 1 && splits.count == 1)) return pass(x, norm);
  const int64_t pictures = x.size(0) / views;
  if (pictures % splits.count != 0) {
    throw NodeError("a group of " + std::to_string(pictures) + " pictures can't be cut into " + std::to_string(splits.count) + " equal parts");
  }
  const Tensor order = splits.shuffle ? shuffled(pictures, context).to(x.device()) : Tensor();
  const Tensor by_view = x.unflatten(0, {pictures, views});
  std::vector<Tensor> of_views;
  for (int64_t view = 0; view < views; ++view) {
    const Tensor rows = order.defined() ? by_view.select(1, view).index_select(0, order) : by_view.select(1, view);
    std::vector<Tensor> parts;
    for (const Tensor& part : rows.chunk(splits.count)) parts.push_back(pass(part, norm)), ++norm.view;
    const Tensor together = parts.size() == 1 ? parts[0] : at::cat(parts);
    of_views.push_back(order.defined() ? together.index_select(0, order.argsort()) : together);
  }
  return at::stack(of_views, 1).flatten(0, 1);
}

void collect_statistics(Module& model) {
  if (model.norms() != nullptr && !model.frozen()) model.norms()->collect();
}

void settle_statistics(Module& model, const RunInfo& run) {
  if (model.norms() != nullptr && !model.frozen()) model.norms()->settle(run);
}

}  // namespace flowrun::model
