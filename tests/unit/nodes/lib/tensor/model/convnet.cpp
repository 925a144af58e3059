#include "nodes/lib/tensor/model/convnet.h"

#include <ATen/ops/zeros.h>
#include <gmock/gmock.h>

#include "graph/text/error.h"
#include "tests/support/torch_reference.h"

namespace flowrun {
namespace {

using model::ConvLayer, model::ConvNet, model::ConvNetConfig;

ConvNetConfig config(const std::vector<std::string>& layers, int64_t image) {
  ConvNetConfig out{.layers = {}, .image = image};
  for (const std::string& layer : layers) out.layers.push_back(ConvLayer::parse(layer));
  return out;
}

TEST(ConvNet, GivesPyTorchsFeaturesGradientsAndStatistics) {
  std::string missing;
  const std::filesystem::path folder = test::reference_folder(missing, "make_convnets.py");
  if (!missing.empty()) GTEST_SKIP() << missing;
  const std::map<std::string, ConvNetConfig> kinds = {{"maps", config({"conv 8 5", "pool 3 2 1", "conv 12 1", "average 3 2 1", "conv 6 3 2 0"}, 16)},
                                                      {"linear", config({"conv 8 3 2", "pool 3 2", "linear 10", "linear 5"}, 14)}};
  for (const auto& [kind, made] : kinds) {
    SCOPED_TRACE(kind);
    const test::TensorMap t = test::load_tensors(folder / (kind + ".safetensors"));
    ConvNet net(made);
    net.to(at::kCPU, at::kDouble);
    for (const auto& parameter : net.parameters()) net.parameters().assign(parameter.name, t.at("p/" + parameter.name));
    for (const auto& [name, buffer] : net.buffers()) buffer.copy_(t.at("p/" + name));
    const auto features = [&](const model::NormPass& norm) { return net.encode(t.at("x"), {}, {.norm = norm, .drop_path = {}}).patch.mean(1); };
    EXPECT_LT(test::relative_error(features({}), t.at("eval")), 1e-10);
    EXPECT_LT(test::relative_error(net.hidden(t.at("x"), {net.shape().depth}, model::Tap::output, false)[0].mean(1), t.at("eval")), 1e-10);
    net.parameters().set_trainable();
    net.norms()->collect();
    const Tensor out = features({.measures = true});
    EXPECT_LT(test::relative_error(out, t.at("train")), 1e-10);
    out.mul(t.at("w")).sum().backward();
    for (const auto& parameter : net.parameters()) {
      EXPECT_LT(test::relative_error(parameter.value.grad(), t.at("g/" + parameter.name)), 1e-8) << parameter.name;
    }
    net.norms()->settle(RunInfo());
    for (const auto& [name, buffer] : net.buffers()) EXPECT_LT(test::max_error(buffer, t.at("b/" + name)), 1e-8) << name;
    EXPECT_EQ(net.shape().width, out.size(1));
  }
}

TEST(ConvNet, HasThePublishedShapes) {
  const ConvNet alexnet(config(model::convnet_arch("alexnet"), 224)), nin(config(model::convnet_arch("nin"), 32));
  EXPECT_EQ(alexnet.shape().width, 4096);
  EXPECT_EQ(alexnet.parameters().get("layers.8.weight").size(1), 256 * 6 * 6);
  EXPECT_EQ(alexnet.sides(), std::vector<int64_t>{224});
  EXPECT_EQ(nin.shape().grid, 8);
  EXPECT_EQ(nin.shape().width, 192);
  EXPECT_TRUE(nin.sides().empty());
}

TEST(ConvNet, NamesWhatIsWrong) {
  for (const char* text :
       {"conv", "conv 8", "conv 8 3 1 1 1", "conv 0 3", "pool 3", "pool 2 2 2", "linear", "linear 4 4", "dense 4", "conv 8 x", ""}) {
    EXPECT_THAT([&] { ConvLayer::parse(text); },
                testing::ThrowsMessage<std::invalid_argument>(testing::HasSubstr(std::string("\"") + text + "\" is no layer")));
  }
  EXPECT_THROW(ConvNet(config({}, 32)), std::invalid_argument);
  EXPECT_THAT(
      [] {
        ConvNet net(config({"linear 4", "conv 8 3"}, 32));
      },
      testing::ThrowsMessage<std::invalid_argument>(testing::HasSubstr("layer 2 needs a map")));
  EXPECT_THAT(
      [] {
        ConvNet net(config({"pool 8 8", "conv 8 7 1 0"}, 32));
      },
      testing::ThrowsMessage<std::invalid_argument>(testing::HasSubstr("behind layer 2")));
  const ConvNet net(config({"conv 8 3", "linear 4"}, 16));
  EXPECT_THROW(net.encode(at::zeros({1, 3, 20, 20}), {}, {}), NodeError);
}

}  // namespace
}  // namespace flowrun
