// A model of a new kind, built outside the source tree: a projection head of two layers behind an encoder.
#include <ATen/ops/gelu.h>
#include <ATen/ops/linear.h>

#include "nodes/lib/tensor/model/encoder.h"
#include "nodes/lib/tensor/model/head.h"
#include "nodes/lib/tensor/model/model_params.h"

namespace {

using namespace flowrun;

class Projector final : public model::Head {
 public:
  static constexpr const char* kind = "projector";

  Projector(int64_t width, int64_t hidden, int64_t out) : Head("projector"), width_(width), hidden_(hidden), out_(out) {
    parameters_.add("fc1.weight", {hidden, width}, model::Init::linear);
    parameters_.add("fc1.bias", {hidden}, model::Init::zeros);
    parameters_.add("fc2.weight", {out, hidden}, model::Init::linear);
    parameters_.add("fc2.bias", {out}, model::Init::zeros);
  }
  int64_t in_width() const override { return width_; }
  int64_t out_width() const override { return out_; }
  Tensor apply(const Tensor& x_BD) const override {
    return at::linear(at::gelu(at::linear(x_BD, parameters_[0], parameters_[1])), parameters_[2], parameters_[3]);
  }

 private:
  std::unique_ptr<Module> fresh() const override { return std::make_unique<Projector>(width_, hidden_, out_); }

  int64_t width_, hidden_, out_;
};

struct ProjectorModel {
  static constexpr ModelInfo info{
      .type = "model.projector", .brief = "Two layers behind an encoder.", .kind = Projector::kind, .also = model::Head::kind};
  struct Params {
    Ref<model::Encoder> encoder;
    int64_t hidden = 32, out = 16;
    void describe(auto& param) {
      param.reads("encoder", encoder, "The encoder before it; gives the width.");
      param("hidden", hidden, positive, "Width between the layers.");
      param("out", out, positive, "Width of the output.");
    }
  };
  Params params;

  std::unique_ptr<model::Module> make(const OpenContext& context) {
    auto projector = std::make_unique<Projector>(params.encoder->shape().width, params.hidden, params.out);
    begin(*projector, context);
    return projector;
  }
};

FLOWRUN_MODULE(ProjectorModel);

}  // namespace
