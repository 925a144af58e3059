#include "nodes/lib/tensor/metric/classify.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/bincount.h>
#include <ATen/ops/eye.h>
#include <ATen/ops/linalg_solve.h>
#include <ATen/ops/linalg_vector_norm.h>
#include <ATen/ops/one_hot.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/topk.h>
#include <ATen/ops/zeros.h>
#include <algorithm>
#include <limits>
#include <map>
#include <stdexcept>
#include <string>

#include "graph/contract/rng.h"
#include "nodes/lib/tensor/device/float32.h"

namespace flowrun::eval {
namespace {

int64_t class_count(const Tensor& a, const Tensor& b) { return std::max(a.max().item<int64_t>(), b.max().item<int64_t>()) + 1; }

void require_one_width(const Tensor& train_ND, const Tensor& test_ND) {
  const int64_t train = train_ND.size(1), test = test_ND.size(1);
  if (train == test) return;
  throw std::invalid_argument("the features of train are " + std::to_string(train) + " wide, those of test " + std::to_string(test) +
                              ": both need pictures of one size, through the same encoder");
}

Tensor normalised(const Tensor& x_ND) { return x_ND.div(at::linalg_vector_norm(x_ND, 2, {-1}, /*keepdim=*/true).clamp_min(1e-12)); }

}  // namespace

std::vector<double> knn_accuracy(const Tensor& train_ND, const Tensor& train_labels, const Tensor& test_ND, const Tensor& test_labels,
                                 const std::vector<int64_t>& ks, double temperature) {
  require_one_width(train_ND, test_ND);
  const int64_t most = *std::max_element(ks.begin(), ks.end());
  if (most > train_ND.size(0)) {
    throw std::invalid_argument("k = " + std::to_string(most) + " neighbours of " + std::to_string(train_ND.size(0)) + " images");
  }
  const at::NoGradGuard no_grad;
  const Float32 precision;
  constexpr int64_t chunk = 1024;
  const Tensor keys_DN = normalised(train_ND).t().contiguous(), queries_ND = normalised(test_ND);
  const int64_t classes = class_count(train_labels, test_labels);
  std::vector<int64_t> right(ks.size());
  for (int64_t begin = 0; begin < test_ND.size(0); begin += chunk) {
    const int64_t end = std::min(begin + chunk, test_ND.size(0));
    const auto [similarity, index] = at::topk(queries_ND.slice(0, begin, end).matmul(keys_DN), most, -1);
    // Relative to the nearest: exp(1 / temperature) alone may be more than a double holds.
    const Tensor weights = similarity.sub(similarity.amax(-1, /*keepdim=*/true)).to(at::kDouble).div(temperature).exp();
    const Tensor voters = train_labels.index_select(0, index.flatten()).view_as(index);
    for (size_t i = 0; i < ks.size(); ++i) {
      const Tensor nearest = voters.narrow(1, 0, ks[i]);
      const Tensor votes = at::zeros({end - begin, classes}, weights.options()).scatter_add(1, nearest, weights.narrow(1, 0, ks[i]));
      right[i] += votes.argmax(1).eq(test_labels.slice(0, begin, end)).sum().item<int64_t>();
    }
  }
  std::vector<double> accuracies;
  for (const int64_t count : right) accuracies.push_back(static_cast<double>(count) / static_cast<double>(test_ND.size(0)));
  return accuracies;
}

double ridge_accuracy(const Tensor& train_ND, const Tensor& train_labels, const Tensor& test_ND, const Tensor& test_labels, double lambda) {
  require_one_width(train_ND, test_ND);
  const at::NoGradGuard no_grad;
  const Tensor x = train_ND.to(at::kDouble);
  const Tensor mean = x.mean(0), deviation = x.sub(mean).square().mean(0).sqrt().clamp_min(1e-8);
  const Tensor a = x.sub(mean).div(deviation), b = test_ND.to(at::kDouble).sub(mean).div(deviation);
  const int64_t classes = class_count(train_labels, test_labels);
  const Tensor targets = at::one_hot(train_labels, classes).to(at::kDouble);
  // Standardised features have mean zero, so the bias is the mean of the targets.
  const Tensor bias = targets.mean(0);
  const Tensor gram = a.t().matmul(a).add(at::eye(a.size(1), a.options()), lambda * static_cast<double>(a.size(0)));
  const Tensor weights = at::linalg_solve(gram, a.t().matmul(targets.sub(bias)));
  const Tensor predicted = b.matmul(weights).add(bias).argmax(1);
  return static_cast<double>(predicted.eq(test_labels).sum().item<int64_t>()) / static_cast<double>(test_labels.numel());
}

ClassMeans::ClassMeans(const Tensor& train_ND, const Tensor& train_labels, const Tensor& test_ND, const Tensor& test_labels)
    : train_labels_(train_labels), test_labels_(test_labels), classes_(class_count(train_labels, test_labels)) {
  require_one_width(train_ND, test_ND);
  const at::NoGradGuard no_grad;
  const Tensor middle = train_ND.mean(0);
  train_ND_ = normalised(train_ND.sub(middle)), test_ND_ = normalised(test_ND.sub(middle));
}

double ClassMeans::accuracy(const Tensor& chosen) const {
  const at::NoGradGuard no_grad;
  const Float32 precision;
  constexpr int64_t chunk = 8192;
  const Tensor labels = train_labels_.index_select(0, chosen);
  const Tensor sums_CD = at::zeros({classes_, train_ND_.size(1)}, train_ND_.options()).index_add(0, labels, train_ND_.index_select(0, chosen));
  const Tensor counts_C = at::bincount(labels, {}, classes_);
  const Tensor means_CD = sums_CD.div(counts_C.clamp_min(1).unsqueeze(1));
  // |x - m|^2 without |x|^2, which is the same for all classes; a class without images is never the nearest.
  const Tensor offsets_C = means_CD.square().sum(1).masked_fill(counts_C.eq(0), std::numeric_limits<float>::infinity());
  int64_t right = 0;
  for (int64_t begin = 0; begin < test_ND_.size(0); begin += chunk) {
    const int64_t end = std::min(begin + chunk, test_ND_.size(0));
    const Tensor nearest = offsets_C.sub(test_ND_.slice(0, begin, end).matmul(means_CD.t()), 2).argmin(1);
    right += nearest.eq(test_labels_.slice(0, begin, end)).sum().item<int64_t>();
  }
  return static_cast<double>(right) / static_cast<double>(test_ND_.size(0));
}

Tensor rows_of_each_class(const Tensor& labels, int64_t count, uint64_t seed, uint64_t draw) {
  const Tensor on_host = labels.cpu().contiguous();
  std::map<int64_t, std::vector<int64_t>> rows;
  for (int64_t row = 0; row < on_host.numel(); ++row) rows[on_host.const_data_ptr<int64_t>()[row]].push_back(row);
  std::vector<int64_t> chosen;
  for (const auto& [label, of_class] : rows) {
    if (static_cast<int64_t>(of_class.size()) < count) {
      throw std::invalid_argument("class " + std::to_string(label) + " has " + std::to_string(of_class.size()) + " images, fewer than " +
                                  std::to_string(count));
    }
    const Permutation order(of_class.size(), seed, hash_text("rows of class " + std::to_string(label)), draw);
    for (int64_t i = 0; i < count; ++i) chosen.push_back(of_class[order(static_cast<uint64_t>(i))]);
  }
  return at::tensor(chosen, at::kLong).to(labels.device());
}

}  // namespace flowrun::eval
