// eval.zero_shot against class vectors that are made here, one prompt after the other.
#include <ATen/core/grad_mode.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/tensor.h>
#include <gtest/gtest.h>

#include "graph/check/entries.h"
#include "graph/run/bind.h"
#include "nodes/lib/tensor/model/mlp_head.h"
#include "nodes/lib/tensor/model/text.h"
#include "nodes/lib/tensor/types/device_types.h"
#include "nodes/lib/tensor/types/vectors.h"
#include "support/run_node.h"

namespace flowrun {
namespace {

const RunInfo kRun;
const std::vector<std::string> kNames = {"cat", "mill", "sea", "owl"};
const std::vector<std::array<std::string, 2>> kTemplates = {{"a ", ""}, {"the ", " at night"}, {"", ", "}, {"many ", "s"}};

double length(const Tensor& row) { return row.norm().item<double>(); }

/// The vector of a text as bytes between start (256) and end (257).
Tensor vector_of(const std::string& text, const model::Text& tower, const model::MlpHead& head) {
  std::vector<int64_t> ids = {256};
  for (const unsigned char byte : text) ids.push_back(byte);
  ids.push_back(257);
  const Tensor ids_1T = at::tensor(ids, at::kLong).unsqueeze(0), end_1 = at::tensor({std::ssize(ids) - 1}, at::kLong);
  return head.apply(tower.encode(ids_1T, end_1, model::TextPool::end)).squeeze(0);
}

/// Share of the pictures whose class is the one that `vectors` names by the largest cosine.
double accuracy(const Tensor& pictures_nD, const Tensor& vectors_CD, const Tensor& label_n) {
  const Tensor unit_CD = vectors_CD.div(vectors_CD.norm(2, {1}, /*keepdim=*/true));
  return pictures_nD.matmul(unit_CD.t()).argmax(1).eq(label_n).to(at::kDouble).mean().item<double>();
}

TEST(ZeroShot, AveragesTheUnitVectorsOfItsPrompts) {
  const at::NoGradGuard no_grad;
  std::vector<std::unique_ptr<Resource>> made;
  auto text = std::make_unique<model::Text>(
      model::TextConfig{.vocabulary = 258, .context = 24, .width = 12, .depth = 1, .heads = 2, .quick_gelu = true, .scaled_init = false});
  auto head = std::make_unique<model::MlpHead>(model::MlpHeadConfig{.in = 12, .layers = {3}});
  text->parameters().initialise(3), head->parameters().initialise(4);
  for (const auto& parameter : text->parameters()) parameter.value.mul_(10);  // prompts far from each other
  const model::Text& tower = *text;
  const model::MlpHead& projection = *head;
  made.push_back(std::move(text)), made.push_back(std::move(head));

  std::string templates;
  for (const auto& [before, behind] : kTemplates) templates += (templates.empty() ? "\"" : ", \"") + before + "{}" + behind + "\"";
  const auto node = test::make_node("eval.zero_shot", R"({"text": "text", "head": "head", "names": ["cat", "mill", "sea", "owl"], "context": 24,
                                                         "templates": [)" +
                                                          templates + "]}");
  std::vector<CheckedModel> models(2);
  models[0].name = "text", models[1].name = "head";
  bind_models(node->params(), models, made);
  node->open({kRun, "zero_shot", 0});

  std::vector<Tensor> means, sums;
  for (const std::string& name : kNames) {
    Tensor unit, plain;
    for (const auto& [before, behind] : kTemplates) {
      const Tensor vector = vector_of(before + name + behind, tower, projection);
      unit = unit.defined() ? unit.add(vector.div(length(vector))) : vector.div(length(vector));
      plain = plain.defined() ? plain.add(vector) : vector;
    }
    means.push_back(unit.unsqueeze(0)), sums.push_back(plain.unsqueeze(0));
  }
  Vectors pictures{at::randn({2000, 3})};
  const Tensor class_CD = at::cat(means);
  DeviceLabels labels{pictures.values_nD.matmul(class_CD.div(class_CD.norm(2, {1}, true)).t()).argmax(1)};
  EXPECT_EQ(accuracy(pictures.values_nD, class_CD, labels.labels_B), 1);
  EXPECT_LT(accuracy(pictures.values_nD, at::cat(sums), labels.labels_B), 0.999) << "vectors of other lengths would weigh otherwise";

  uint64_t ledger = 0;
  void* objects[] = {&pictures, &labels};
  const PortSlot slots[] = {{0, true}, {1, true}};
  node->fold(Call{nullptr, objects, slots}, FoldContext{kRun, 0, 1, 2000, 0, 1, LedgerEntry(&ledger)});
  Reports reports;
  Notes notes;
  EvaluationContext context{kRun, 1, 1, reports, notes};
  node->run(Call{nullptr, nullptr, slots}, context);
  EXPECT_NEAR(reports.at("accuracy"), 1, 1.5 / 2000) << "a picture may lie between two classes";
  EXPECT_FALSE(reports.contains("accuracy_top5")) << "four classes";
}

}  // namespace
}  // namespace flowrun
