// Supervised training against timm and closed forms: scores, losses, gradients, mixing and erasing.
#include <ATen/core/grad_mode.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/full.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>
#include <algorithm>
#include <cmath>
#include <functional>
#include <gmock/gmock.h>
#include <numbers>

#include "nodes/lib/tensor/loss/classification.h"
#include "nodes/lib/tensor/model/classifier.h"
#include "nodes/lib/tensor/model/vit.h"
#include "nodes/lib/tensor/target/mix_math.h"
#include "nodes/lib/tensor/types/device_types.h"
#include "nodes/lib/tensor/types/vectors.h"
#include "support/run_node.h"
#include "support/torch_reference.h"

namespace flowrun {
namespace {

constexpr int64_t kImages = 4, kClasses = 7, kSide = 16;
constexpr double kSmoothing = 0.125;

Tensor normal(at::IntArrayRef shape, uint64_t item) {
  Tensor out = at::zeros(shape);
  Rng rng(1, 1, 0, item);
  for (int64_t i = 0; i < out.numel(); ++i) out.mutable_data_ptr<float>()[i] = static_cast<float>(rng.normal());
  return out;
}

model::VitConfig encoder_config() { return {.image = kSide, .patch = 4, .width = 24, .depth = 2, .heads = 3, .registers = 2}; }

/// Initial values would leave some terms at zero.
void shake(model::Parameters& parameters, uint64_t item) {
  const at::NoGradGuard no_grad;
  for (const model::Parameter& parameter : parameters) parameter.value.mul_(3).add_(normal(parameter.value.sizes(), ++item), 0.1);
}

/// A classifier behind an encoder, what timm made of both, and what both were.
struct Twin {
  explicit Twin(model::Pooling pooling) : vit(encoder_config()), classifier({.classes = kClasses, .width = 24, .pooling = pooling}) {
    vit.parameters().initialise(3), classifier.parameters().initialise(4);
    shake(vit.parameters(), 100), shake(classifier.parameters(), 300);
  }

  model::Vit vit;
  model::Classifier classifier;
  Tensor images = normal({kImages, 3, kSide, kSide}, 1), labels = at::tensor({6, 0, 3, 3}, at::kLong);
  Tensor soft = normal({kImages, kClasses}, 2).softmax(1);
  Tensor cases = at::tensor({0.375, 0., 0., 0., 0.5, 1., 3., 14., 0.9, 1., 8., 8., 0.05, 1., 0., 7., 1., 0., 0., 0.}).view({5, 4});
  test::TensorMap timm;

  /// False: there is no timm here.
  bool ask(const std::string& pool) {
    test::TensorMap saved = {{"images", images}, {"labels", labels}, {"soft", soft}, {"cases", cases}};
    for (const auto& [name, value] : model::timm_state(vit)) saved["encoder/" + name] = value;
    for (const model::Parameter& parameter : classifier.parameters()) saved["classifier/" + parameter.name] = parameter.value.clone();
    const auto folder = test::fresh_folder("flowrun-finetune");
    const auto path = folder / "case.safetensors";
    test::save_tensors(path, saved,
                       {{"pool", pool},
                        {"image", "16"},
                        {"patch", "4"},
                        {"width", "24"},
                        {"depth", "2"},
                        {"heads", "3"},
                        {"registers", "2"},
                        {"smoothing", std::to_string(kSmoothing)}});
    const auto ran = test::run_python("finetune_check.py", path.string());
    if (test::python_missing(ran)) return false;
    EXPECT_EQ(ran.status, 0) << ran.output;
    if (ran.status == 0) timm = test::load_tensors(path.string() + ".out");
    std::filesystem::remove_all(folder);
    return true;
  }
  void to_double() { vit.to(at::kCPU, at::kDouble), classifier.to(at::kCPU, at::kDouble), images = images.to(at::kDouble); }
};

/// Gradients of both models after `loss`, against timm's.
size_t compare_gradients(Twin& twin, const Tensor& loss, const std::string& name) {
  size_t compared = 0;
  for (model::Parameters* parameters : {&twin.vit.parameters(), &twin.classifier.parameters()}) parameters->zero_grad();
  loss.backward();
  for (model::Parameters* parameters : {&twin.vit.parameters(), &twin.classifier.parameters()}) {
    for (const model::Parameter& parameter : *parameters) {
      const auto found = twin.timm.find(name + "/" + parameter.name);
      EXPECT_EQ(parameter.value.grad().defined(), found != twin.timm.end()) << parameter.name;
      if (found == twin.timm.end()) continue;
      EXPECT_LT(test::max_error(parameter.value.grad(), found->second), 1e-6) << parameter.name;  // its sine-cosine table is float32
      ++compared;
    }
  }
  return compared;
}

class ClassifierTwin : public testing::TestWithParam<const char*> {};

TEST_P(ClassifierTwin, ScoresLossesAndGradientsEqualTimm) {
  const std::string pool = GetParam();
  Twin twin(model::pooling(pool));
  if (!twin.ask(pool)) GTEST_SKIP() << "no timm";
  ASSERT_FALSE(twin.timm.empty());
  const Tensor single = model::classify(twin.vit, twin.classifier, twin.images, {});
  EXPECT_EQ(single.scalar_type(), at::kFloat);
  EXPECT_LT(test::max_error(single, twin.timm.at("scores")), 2e-4);
  EXPECT_NEAR(loss::cross_entropy(single, twin.soft, 0).item<double>(), twin.timm.at("soft_loss").item<double>(), 1e-4);
  EXPECT_NEAR(loss::cross_entropy(single, twin.labels, kSmoothing).item<double>(), twin.timm.at("hard_loss").item<double>(), 1e-4);
  twin.to_double();
  twin.vit.parameters().set_requires_grad(true), twin.classifier.parameters().set_requires_grad(true);
  const auto scores = [&] { return model::classify(twin.vit, twin.classifier, twin.images, {}); };
  EXPECT_LT(test::max_error(scores(), twin.timm.at("scores")), 1e-6);
  const Tensor soft = loss::cross_entropy(scores(), twin.soft, 0), hard = loss::cross_entropy(scores(), twin.labels, kSmoothing);
  EXPECT_NEAR(soft.item<double>(), twin.timm.at("soft_loss").item<double>(), 1e-6);
  EXPECT_NEAR(hard.item<double>(), twin.timm.at("hard_loss").item<double>(), 1e-6);
  // All parameters of both, but for the final norm, which mean leaves out.
  const size_t all = twin.vit.parameters().size() + twin.classifier.parameters().size() - (pool == "mean" ? 2 : 0);
  EXPECT_EQ(compare_gradients(twin, soft, "soft"), all);
  EXPECT_EQ(compare_gradients(twin, hard, "hard"), all);
}

INSTANTIATE_TEST_SUITE_P(Pools, ClassifierTwin, testing::Values("mean", "cls"), [](const auto& info) { return std::string(info.param); });

TEST(Classifier, DropPathThatKeepsEverythingChangesNothing) {
  const at::NoGradGuard no_grad;
  for (const auto pooling : {model::Pooling::mean, model::Pooling::cls}) {
    const Twin twin(pooling);
    const Tensor plain = model::classify(twin.vit, twin.classifier, twin.images, {});
    EXPECT_LT(test::max_error(model::classify(twin.vit, twin.classifier, twin.images, {.drop_path = at::ones({4, kImages})}), plain), 1e-5);
    EXPECT_GT(test::max_error(model::classify(twin.vit, twin.classifier, twin.images, {.drop_path = at::zeros({4, kImages})}), plain), 1e-3);
  }
  const model::Vit bare({.image = kSide, .patch = 4, .width = 24, .depth = 1, .heads = 3, .class_token = false});
  EXPECT_THROW(model::classify(bare, Twin(model::Pooling::cls).classifier, normal({1, 3, kSide, kSide}, 1), {}), std::invalid_argument);
  EXPECT_THROW(model::pooling("max"), std::invalid_argument);
}

TEST(Classifier, BeginsAsMaesAndIsSavedUnderTimmsNames) {
  model::Classifier resource({.classes = 50, .width = 96});
  resource.parameters().initialise(1);
  EXPECT_NEAR(resource.parameters().get("head.weight").square().mean().sqrt().item<double>(), 2e-5, 1e-6);
  model::Classifier other({.classes = 50, .width = 96});
  other.restore(resource.save());
  for (const model::Parameter& parameter : resource.parameters()) {
    EXPECT_TRUE(parameter.value.equal(other.parameters().get(parameter.name))) << parameter.name;
  }
  EXPECT_THAT(resource.save(), testing::UnorderedElementsAre(testing::Key("fc_norm.weight"), testing::Key("fc_norm.bias"),
                                                             testing::Key("head.weight"), testing::Key("head.bias")));
}

TEST(CrossEntropy, RefusesWhatDoesNotFit) {
  const Tensor scores = normal({3, 5}, 1);
  EXPECT_THROW(loss::cross_entropy(scores, at::zeros({3, 4}), 0), std::invalid_argument);
  EXPECT_THROW(loss::cross_entropy(scores, at::zeros({2}, at::kLong), 0), std::invalid_argument);
  EXPECT_THROW(loss::cross_entropy(scores, at::zeros({3, 5}), 0.1), std::invalid_argument);
}

TEST(Mixing, EqualsTimm) {
  Twin twin(model::Pooling::mean);
  if (!twin.ask("mean")) GTEST_SKIP() << "no timm";
  for (int64_t i = 0; i < twin.cases.size(0); ++i) {
    SCOPED_TRACE(i);
    const auto at = [&](int64_t j) { return twin.cases[i][j].item<double>(); };
    supervised::Mix mix{.lambda = at(0), .box = {}};
    if (at(1) != 0) {
      mix.box = supervised::cut_box(mix.lambda, kSide, kSide, static_cast<int>(at(2)), static_cast<int>(at(3)));
      mix.lambda = 1 - mix.box->width * mix.box->height / static_cast<double>(kSide * kSide);
      const Tensor changed = supervised::mix_images(twin.images, mix).ne(twin.images).any(1).to(at::kDouble).mean();
      EXPECT_NEAR(changed.item<double>(), 1 - mix.lambda, 1e-12) << "lambda is what the box leaves";
    }
    const std::string number = std::to_string(i);
    EXPECT_LT(test::max_error(supervised::mix_images(twin.images, mix), twin.timm.at("mixed/" + number)), 1e-6);
    const Tensor labels = supervised::mix_labels(twin.labels, kClasses, kSmoothing, mix.lambda);
    EXPECT_LT(test::max_error(labels, twin.timm.at("targets/" + number)), 1e-6);
    EXPECT_LT(test::max_error(labels.sum(1), at::ones({kImages})), 1e-6);
  }
}

/// Largest distance between the distribution of `count` numbers and `cdf` (Kolmogorov-Smirnov).
double distance(double alpha, const std::function<double(double)>& cdf, int count = 20000) {
  std::vector<double> drawn;
  for (int i = 0; i < count; ++i) {
    Rng rng(3, 1, 0, static_cast<uint64_t>(i));
    drawn.push_back(supervised::draw_beta(alpha, rng));
  }
  std::sort(drawn.begin(), drawn.end());
  double worst = 0;
  for (int i = 0; i < count; ++i) {
    const double expected = cdf(drawn[static_cast<size_t>(i)]);
    worst = std::max({worst, std::abs((i + 1.0) / count - expected), std::abs(static_cast<double>(i) / count - expected)});
  }
  return worst;
}

TEST(Beta, HasItsDistribution) {
  const double bound = 1.95 / std::sqrt(20000.0);  // exceeded once in a thousand
  EXPECT_LT(distance(0.5, [](double x) { return 2 / std::numbers::pi * std::asin(std::sqrt(x)); }), bound);
  EXPECT_LT(distance(1, [](double x) { return x; }), bound);
  EXPECT_LT(distance(2, [](double x) { return x * x * (3 - 2 * x); }), bound);
  EXPECT_GT(distance(0.8, [](double x) { return x; }), 0.02) << "0.8 is not 1";
  Rng rng(1, 1, 0, 0);
  for (int i = 0; i < 1000; ++i) {
    const double tiny = supervised::draw_beta(1e-3, rng);
    EXPECT_TRUE(tiny >= 0 && tiny <= 1) << tiny;
  }
}

TEST(DrawnMixes, AreOfBothKindsAndKeepTheirArea) {
  int cut = 0;
  double lambda = 0;
  for (uint64_t i = 0; i < 2000; ++i) {
    Rng rng(1, 2, 0, i);
    const supervised::Mix mix = supervised::draw_mix({}, 30, 20, rng);
    lambda += mix.box ? 0 : mix.lambda;
    cut += mix.box.has_value();
    if (!mix.box) continue;
    EXPECT_GE(std::min(mix.box->x, mix.box->y), 0);
    EXPECT_LE(mix.box->x + mix.box->width, 20);
    EXPECT_LE(mix.box->y + mix.box->height, 30);
    EXPECT_NEAR(mix.lambda, 1 - mix.box->width * mix.box->height / 600.0, 1e-12);
  }
  EXPECT_NEAR(cut, 1000, 100);
  EXPECT_NEAR(lambda / (2000 - cut), 0.5, 0.05);
  Rng rng(1, 2, 0, 0);
  EXPECT_EQ(supervised::draw_mix({.mixup = 0, .cutmix = 0}, 30, 20, rng).lambda, 1);
  EXPECT_EQ(supervised::draw_mix({.chance = 0}, 30, 20, rng).lambda, 1);
  for (int i = 0; i < 20; ++i) {
    EXPECT_FALSE(supervised::draw_mix({.cutmix = 0}, 30, 20, rng).box);
    EXPECT_TRUE(supervised::draw_mix({.mixup = 0}, 30, 20, rng).box);
  }
}

TEST(Erasing, KeepsAreaAspectAndChance) {
  int erased = 0;
  double share = 0;
  for (uint64_t i = 0; i < 4000; ++i) {
    Rng rng(1, 3, 0, i);
    const auto box = supervised::draw_erase({}, 224, 224, rng);
    if (!box) continue;
    ++erased;
    const double area = box->width * box->height / (224.0 * 224), ratio = static_cast<double>(box->height) / box->width;
    share += area;
    EXPECT_TRUE(area > 0.019 && area < 0.34) << area;
    EXPECT_TRUE(ratio > 0.28 && ratio < 3.6) << ratio;
    EXPECT_TRUE(box->x >= 0 && box->y >= 0 && box->x + box->width <= 224 && box->y + box->height <= 224);
  }
  EXPECT_NEAR(erased, 1000, 110);
  EXPECT_NEAR(share / erased, 0.177, 0.01);  // uniform from 0.02 to 1/3
}

TEST(Erasing, FillsItsRectanglesInTurn) {
  const Tensor images = at::ones({3, 2, 4, 4});
  const std::vector<std::optional<io::Rect>> boxes = {io::Rect{1, 2, 3, 1}, std::nullopt, io::Rect{0, 0, 1, 2}};
  const Tensor fill = at::arange(10).to(at::kFloat).add(2);
  const Tensor out = supervised::erase(images, boxes, fill);
  EXPECT_TRUE(out[1].equal(images[1]));
  EXPECT_TRUE(out[0].narrow(1, 2, 1).narrow(2, 1, 3).flatten().equal(fill.narrow(0, 0, 6)));
  EXPECT_TRUE(out[2].narrow(1, 0, 2).narrow(2, 0, 1).flatten().equal(fill.narrow(0, 6, 4)));
  EXPECT_EQ(out.eq(1).sum().item<int64_t>(), 96 - 10);
  EXPECT_EQ(supervised::erase(images, boxes, {}).eq(0).sum().item<int64_t>(), 10);
}

struct Mixed {
  Tensor images, labels;
  uint64_t ledger = 0;
};

Mixed run_mix(const std::string& params, const Tensor& images, const Tensor& labels, uint64_t group = 0) {
  const auto node = test::make_node("supervised.mix", params);
  DeviceImages in{images}, out;
  DeviceLabels hard{labels};
  SoftLabels soft;
  void* objects[] = {&in, &hard, &out, &soft};
  const PortSlot slots[] = {{0, false}, {1, false}, {2, false}, {3, false}};
  const RunInfo run{.seed = 7};
  Mixed mixed;
  node->run(Call{objects, nullptr, slots}, GroupContext{run, 7, 5, 0, group, 1, images.size(0), 1, LedgerEntry(&mixed.ledger)});
  mixed.images = out.images_BCHW, mixed.labels = soft.values_BC;
  return mixed;
}

TEST(MixNode, DependsOnItsGroupAlone) {
  const Tensor images = normal({6, 3, 16, 16}, 1), labels = at::arange(6).to(at::kLong), before = images.clone();
  const std::string params = R"({"classes": 7})";
  const Mixed a = run_mix(params, images, labels), b = run_mix(params, images, labels), other = run_mix(params, images, labels, 1);
  EXPECT_TRUE(images.equal(before)) << "the input belongs to others too";
  EXPECT_TRUE(a.images.equal(b.images) && a.labels.equal(b.labels));
  EXPECT_EQ(a.ledger, b.ledger);
  EXPECT_NE(a.ledger, other.ledger);
  EXPECT_FALSE(a.images.equal(other.images));
  EXPECT_LT(test::max_error(a.labels.sum(1), at::ones({6})), 1e-6);
  const Mixed plain = run_mix(R"({"classes": 7, "mixup": 0, "cutmix": 0, "erase": 0, "smoothing": 0})", images, labels);
  EXPECT_TRUE(plain.images.equal(images));
  EXPECT_EQ(plain.labels.argmax(1).eq(labels).sum().item<int64_t>(), 6);
  EXPECT_EQ(plain.labels.sum().item<double>(), 6);
  // Everything erased: noise is standard normal, and zero is zero.
  const Tensor tens = at::full({6, 3, 32, 32}, 10.0);
  const std::string erase = R"("classes": 7, "mixup": 0, "cutmix": 0, "erase": 1)";
  const Tensor noise = run_mix("{" + erase + "}", tens, labels).images, hole = noise.masked_select(noise.ne(10));
  EXPECT_NEAR(hole.mean().item<double>(), 0, 0.1);
  EXPECT_NEAR(hole.std().item<double>(), 1, 0.1);
  const Tensor zero = run_mix("{" + erase + R"(, "erase_fill": "zero"})", tens, labels).images;
  EXPECT_TRUE(zero.ne(10).equal(noise.ne(10)));
  EXPECT_EQ(zero.masked_select(zero.ne(10)).abs().max().item<double>(), 0);
}

TEST(Accuracy, CountsOverGroups) {
  // Image 0 is right at once, 1 among the five, 2 not; in a second group 3 is right.
  Tensor scores = at::arange(6).to(at::kFloat).repeat({4, 1}).neg();
  const Tensor labels = at::tensor({0, 4, 5, 0}, at::kLong);
  const auto node = test::make_node("eval.accuracy");
  const RunInfo run;
  uint64_t ledger = 0;
  for (const auto& [first, count] : {std::pair<int64_t, int64_t>{0, 3}, {3, 1}}) {
    Vectors logits{scores.narrow(0, first, count)};
    DeviceLabels truth{labels.narrow(0, first, count)};
    void* objects[] = {&logits, &truth};
    const PortSlot slots[] = {{0, true}, {1, true}};
    node->fold(Call{nullptr, objects, slots}, FoldContext{run, 0, 2, count, 0, 1, LedgerEntry(&ledger)});
  }
  Reports reports;
  Notes notes;
  EvaluationContext context{run, 1, 1, reports, notes};
  const PortSlot slots[] = {{0, true}, {1, true}};
  node->run(Call{nullptr, nullptr, slots}, context);
  EXPECT_EQ(reports.at("accuracy"), 0.5);
  EXPECT_EQ(reports.at("accuracy_top5"), 0.75);
  double all = 0;
  for (int i = 0; i < 6; ++i) all += std::exp(-i);
  EXPECT_NEAR(reports.at("loss"), std::log(all) + (0 + 4 + 5 + 0) / 4.0, 1e-6);
  EXPECT_TRUE(notes.empty()) << "nothing was chosen";
}

TEST(CrossEntropy, TakesOneKindOfLabels) {
  Vectors logits{normal({3, 5}, 1)};
  SoftLabels soft{at::full({3, 5}, 0.2)};
  DeviceLabels hard{at::tensor({1, 4, 0}, at::kLong)};
  const auto value = [&](const std::string& params, bool has_soft, bool has_hard) {
    const auto node = test::make_node("loss.cross_entropy", params);
    Loss loss;
    void* objects[] = {&logits, &soft, &hard, &loss};
    const PortSlot slots[] = {{0, false}, {has_soft ? 1 : -1, false}, {has_hard ? 2 : -1, false}, {3, false}};
    const RunInfo run;
    uint64_t ledger = 0;
    node->run(Call{objects, nullptr, slots}, GroupContext{run, 7, 5, 0, 0, 1, 3, 1, LedgerEntry(&ledger)});
    return loss.value.item<double>();
  };
  const double uniform = value("{}", true, false), sharp = value("{}", false, true);
  EXPECT_NEAR(value(R"({"smoothing": 0.3})", false, true), 0.7 * sharp + 0.3 * uniform, 1e-6);
  EXPECT_NEAR(value(R"({"weight": 2})", false, true), 2 * sharp, 1e-6);
  EXPECT_THROW(value("{}", true, true), NodeError);
  EXPECT_THROW(value("{}", false, false), NodeError);
  EXPECT_THROW(value(R"({"smoothing": 0.3})", true, false), NodeError);
}

TEST(MixNode, SaysWhatIsWrongWithLabels) {
  const auto error = [](const Tensor& labels) -> std::string {
    try {
      run_mix(R"({"classes": 3})", at::zeros({2, 3, 8, 8}), labels);
    } catch (const NodeError& error) {
      return error.what();
    }
    return "no error";
  };
  EXPECT_THAT(error({}), testing::HasSubstr("there are no labels"));
  EXPECT_THAT(error(at::tensor({0, 3}, at::kLong)), testing::HasSubstr("a label is 3, but there are classes 0 to 2"));
  EXPECT_THAT(error(at::tensor({0, -1}, at::kLong)), testing::HasSubstr("an image has no class"));
}

}  // namespace
}  // namespace flowrun
