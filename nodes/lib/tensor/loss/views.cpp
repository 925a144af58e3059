#include "nodes/lib/tensor/loss/views.h"

#include <ATen/ops/cat.h>
#include <ATen/ops/logsumexp.h>
#include <algorithm>
#include <stdexcept>

#include "nodes/lib/tensor/device/float32.h"
#include "nodes/lib/tensor/model/rows.h"

namespace flowrun::loss {
namespace {

/// [n, K] -> [pictures, views, K].
Tensor by_picture(const Tensor& x_nK, int64_t views, const char* what) {
  if (views < 1 || x_nK.size(0) % views != 0) {
    throw std::invalid_argument(std::string(what) + " have " + std::to_string(x_nK.size(0)) + " rows, which are no multiple of " +
                                std::to_string(views) + " views");
  }
  return x_nK.reshape({-1, views, x_nK.size(1)});
}

void check_pairs(Pairs pairs, int64_t views, int64_t small_views) {
  if (pairs == Pairs::cross && views < 2) throw std::invalid_argument("pairs cross needs two views of a picture, and there is one");
  if (pairs == Pairs::all_but_same && views + small_views < 2) {
    throw std::invalid_argument("pairs all_but_same needs another view than the target's, and there is one view in all");
  }
  if (pairs != Pairs::all_but_same && small_views > 0) throw std::invalid_argument("small views are compared by pairs all_but_same alone");
}

/// How many pairs a picture has.
double count(Pairs pairs, int64_t views, int64_t small_views) {
  if (pairs == Pairs::same) return static_cast<double>(views);
  return static_cast<double>(views * (views + small_views - 1));
}

/// For each target view the sum of the values of the views that it is compared with: [pictures, views, K].
Tensor partners(const Tensor& large_pvK, const Tensor& small_pvK, Pairs pairs) {
  if (pairs == Pairs::same) return large_pvK;
  Tensor all_p1K = large_pvK.sum(1, /*keepdim=*/true);
  if (small_pvK.defined()) all_p1K = all_p1K.add(small_pvK.sum(1, /*keepdim=*/true));
  return all_p1K.sub(large_pvK);
}

}  // namespace

Pairs pairs(const std::string& name) {
  if (name == "all_but_same") return Pairs::all_but_same;
  if (name == "cross") return Pairs::cross;
  if (name == "same" || name == "own") return Pairs::same;
  throw std::invalid_argument("unknown pairs \"" + name + "\": all_but_same, cross, same or own");
}

Tensor soft_cross_entropy(const Tensor& large_nK, const Tensor& small_nK, const Tensor& target_nK, int64_t views, int64_t small_views, Pairs pairs,
                          double temperature) {
  if (!small_nK.defined()) small_views = 0;
  check_pairs(pairs, views, small_views);
  const auto log_softmax = [&](const Tensor& x) { return at_least_float(x).div(temperature).log_softmax(-1); };
  const Tensor large = by_picture(log_softmax(large_nK), views, "the student's views");
  const Tensor small = small_views > 0 ? by_picture(log_softmax(small_nK), small_views, "the small views") : Tensor();
  const Tensor target = by_picture(target_nK.detach(), views, "the target's views");
  if (target.sizes() != large.sizes() || (small.defined() && (small.size(0) != large.size(0) || small.size(2) != large.size(2)))) {
    throw std::invalid_argument(
        "the student has " + std::to_string(large.size(0)) + " pictures and " + std::to_string(large.size(2)) + " scores, the target " +
        std::to_string(target.size(0)) + " and " + std::to_string(target.size(2)) +
        (small.defined() ? ", the small views " + std::to_string(small.size(0)) + " and " + std::to_string(small.size(2)) : ""));
  }
  const Tensor per_picture = target.mul(partners(large, small, pairs)).sum({1, 2});
  return per_picture.mean().div(-count(pairs, views, small_views));
}

Tensor masked_soft_cross_entropy(const Tensor& scores_nK, const Tensor& target_nK, const Tensor& image_n, int64_t images, double temperature) {
  if (scores_nK.sizes() != target_nK.sizes()) {
    throw std::invalid_argument("the student has " + std::to_string(scores_nK.size(0)) + " rows of " + std::to_string(scores_nK.size(1)) +
                                " scores, the target " + std::to_string(target_nK.size(0)) + " of " + std::to_string(target_nK.size(1)));
  }
  const Tensor each_n = target_nK.detach().mul(at_least_float(scores_nK).div(temperature).log_softmax(-1)).sum(-1);
  if (!image_n.defined()) return each_n.sum().div(-std::max<double>(1, static_cast<double>(each_n.size(0))));
  return each_n.mul(model::share_of_image(image_n, images, each_n.scalar_type())).sum().div(-static_cast<double>(images));
}

Tensor negative_cosine(const Tensor& p_nD, const Tensor& target_nD, int64_t views, Pairs pairs, bool stop) {
  check_pairs(pairs, views, 0);
  if (p_nD.sizes() != target_nD.sizes()) {
    throw std::invalid_argument("the predictions are " + std::to_string(p_nD.size(0)) + " rows of " + std::to_string(p_nD.size(1)) +
                                ", the targets " + std::to_string(target_nD.size(0)) + " of " + std::to_string(target_nD.size(1)));
  }
  const Tensor p = by_picture(model::unit_rows(p_nD), views, "the predictions");
  const Tensor z = by_picture(model::unit_rows(stop ? target_nD.detach() : target_nD), views, "the targets");
  return z.mul(partners(p, {}, pairs)).sum({1, 2}).mean().div(-count(pairs, views, 0));
}

Tensor info_nce(const Tensor& q_nd, const Tensor& k_nd, const Tensor& queue_Qd, double temperature) {
  const Tensor q = at_least_float(q_nd), k = at_least_float(k_nd).detach(), queue = at_least_float(queue_Qd).detach();
  if (q.sizes() != k.sizes() || queue.size(1) != q.size(1)) {
    throw std::invalid_argument("queries are " + std::to_string(q.size(0)) + " rows of " + std::to_string(q.size(1)) + ", keys " +
                                std::to_string(k.size(0)) + " of " + std::to_string(k.size(1)) + ", rows of the queue have " +
                                std::to_string(queue.size(1)));
  }
  const Tensor own = q.mul(k).sum(-1, /*keepdim=*/true), others = q.matmul(queue.t());
  const Tensor logits = at::cat({own, others}, 1).div(temperature);
  return at::logsumexp(logits, {1}).sub(logits.select(1, 0)).mean();
}

Tensor koleo(const Tensor& z_nD, int64_t views) {
  const Tensor unit_vpD = by_picture(model::unit_rows(at_least_float(z_nD)), views, "the vectors").transpose(0, 1);
  const int64_t pictures = unit_vpD.size(1);
  if (pictures < 2) throw std::invalid_argument("the nearest other picture is asked for, and there is one picture");
  const Tensor rows = unit_vpD.detach();
  const Tensor nearest_vp = rows.matmul(rows.transpose(1, 2)).diagonal_scatter(rows.new_full({views, pictures}, -2), 0, 1, 2).argmax(2);
  const Tensor nearest = unit_vpD.gather(1, nearest_vp.unsqueeze(2).expand_as(unit_vpD));
  return unit_vpD.sub(nearest).add(1e-8).norm(2, {2}).add(1e-8).log().mean().neg();
}

}  // namespace flowrun::loss
