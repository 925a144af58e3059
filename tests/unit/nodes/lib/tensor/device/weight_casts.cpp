#include "nodes/lib/tensor/device/weight_casts.h"

#include <ATen/autocast_mode.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/rand.h>
#include <gtest/gtest.h>

#include "nodes/lib/tensor/device/recording.h"
#include "nodes/lib/tensor/optim/adamw_math.h"

namespace flowrun {
namespace {

class Autocast {
 public:
  Autocast() {
    at::autocast::set_autocast_dtype(at::kCPU, at::kBFloat16);
    at::autocast::set_autocast_enabled(at::kCPU, true);
    at::autocast::set_autocast_cache_enabled(false);
  }
  ~Autocast() { at::autocast::set_autocast_enabled(at::kCPU, false); }
  Autocast(const Autocast&) = delete;
  Autocast& operator=(const Autocast&) = delete;
};

bool same_bits(const Tensor& a, const Tensor& b) { return a.scalar_type() == b.scalar_type() && at::equal(a, b); }

TEST(WeightCasts, OnceAfterEachChange) {
  const Autocast on;
  const Tensor weight = at::rand({5, 7});
  const Tensor first = cast_weight(weight);
  EXPECT_TRUE(same_bits(first, weight.to(at::kBFloat16)));
  EXPECT_EQ(cast_weight(weight).data_ptr(), first.data_ptr());
  weight.mul_(1.5);
  const Tensor second = cast_weight(weight);
  EXPECT_EQ(second.data_ptr(), first.data_ptr()) << "recorded work finds it where it was";
  EXPECT_TRUE(same_bits(second, weight.to(at::kBFloat16)));
}

TEST(WeightCasts, RefreshCastsWhatHasChanged) {
  const Autocast on;
  const Tensor weight = at::rand({5, 7}), other = at::rand({3});
  const Tensor cast = cast_weight(weight), other_cast = cast_weight(other);
  weight.add_(1);
  EXPECT_FALSE(same_bits(cast, weight.to(at::kBFloat16)));
  refresh_casts();
  EXPECT_TRUE(same_bits(cast, weight.to(at::kBFloat16)));
  EXPECT_TRUE(same_bits(other_cast, other.to(at::kBFloat16)));
}

/// Losses and gradients have the bits of autocast's own casts.
TEST(WeightCasts, GradientsAreThoseOfACast) {
  const Autocast on;
  const Tensor x = at::rand({4, 7});
  Tensor gradients[2];
  for (const bool once : {false, true}) {
    const Tensor weight = at::arange(35, at::kFloat).sin().view({5, 7}).requires_grad_();
    const Tensor used = once ? cast_weight(weight) : weight;
    at::linear(x, used).add(at::linear(x.mul(2), once ? cast_weight(weight) : weight)).square().sum().backward();
    gradients[once] = weight.grad();
  }
  EXPECT_TRUE(same_bits(gradients[0], gradients[1]));
  EXPECT_EQ(gradients[1].scalar_type(), at::kFloat);
}

TEST(WeightCasts, NothingIsCastWithoutAutocast) {
  const Tensor weight = at::rand({5, 7}).requires_grad_();
  EXPECT_TRUE(cast_weight(weight).is_same(weight));
  const Autocast on;
  const Tensor wide = at::rand({5, 7}, at::kDouble);
  EXPECT_TRUE(cast_weight(wide).is_same(wide));
}

/// The fused optimizer, the average and a restored checkpoint all count as changes.
TEST(WeightCasts, SeeUpdateAverageAndRestore) {
  const Autocast on;
  model::Parameters student, teacher;
  for (model::Parameters* model : {&student, &teacher}) model->add("w", {5, 7}, model::Init::ones);
  student.set_requires_grad(true);
  const auto is_current = [](const model::Parameters& model) {
    const at::NoGradGuard no_grad;
    return same_bits(cast_weight(model[0]), model[0].to(at::kBFloat16));
  };
  EXPECT_TRUE(is_current(student) && is_current(teacher));
  train::AdamW optimizer;
  optimizer.add("student", student);
  student[0].mutable_grad() = at::rand({5, 7});
  optimizer.step(0.1, 0);
  EXPECT_LT(student[0].max().item<float>(), 1);
  EXPECT_TRUE(is_current(student));
  train::ema_update(teacher, student, 0.5);
  EXPECT_TRUE(is_current(teacher));
  student.assign("w", at::rand({5, 7}));
  EXPECT_TRUE(is_current(student));
  teacher.copy_from(student);
  EXPECT_TRUE(is_current(teacher));
}

/// A dropped weight drops its cast, and a new weight at its address gets its own cast.
TEST(WeightCasts, FollowNoOtherTensor) {
  const Autocast on;
  for (int i = 0; i < 100; ++i) {
    const Tensor weight = at::rand({5, 7});
    ASSERT_TRUE(same_bits(cast_weight(weight), weight.to(at::kBFloat16)));
  }
  refresh_casts();
}

}  // namespace
}  // namespace flowrun
