#include "graph/node.h"
#include "nodes/lib/host/mask/filtered_noise.h"
#include "nodes/lib/host/mask/mask_node.h"

namespace flowrun {
namespace {

struct Noise : mask::MaskNode<Noise> {
  static constexpr NodeInfo info{
      .type = "mask.noise",
      .brief = "ColorMAE's masks: the patches with the highest values of filtered noise are visible.",
      .scope = Scope::batch,
      .details =
          "White Gaussian noise W, filtered with Gaussians G of their exact transfer function (Hinojosa et al., 2024): green is the band G1 W "
          "- G2 W, purple the rest W - (G1 W - G2 W), red the low-pass G1 W, blue the rest W - G1 W. The method's code crops its patterns from "
          "a bank that is not described; here each image has a pattern of its own, and the widths of the filters are parameters. The masks "
          "enter the ledger."};
  struct Params : mask::PatchParam {
    std::string colour = "green";
    double sigma1 = 1, sigma2 = 2, ratio = 0.75;
    void describe(auto& param) {
      PatchParam::describe(param);
      param("colour", colour, colours(), "Which frequencies make the pattern: a band, low, high, or all but a band.");
      param("sigma1", sigma1, Range{0.1, 64}, "Standard deviation of G1, patches.");
      param("sigma2", sigma2, Range{0.1, 64}, "Standard deviation of G2, patches; not used by red and blue.");
      param("ratio", ratio, Range{0, 1}, "Share of the patches that is hidden.");
    }
    std::optional<ParamFault> check() const {
      const bool band = colour == "green" || colour == "purple";
      if (band && sigma1 >= sigma2) return ParamFault{"sigma2", "sigma2 must be larger than sigma1: the band lies between them"};
      return {};
    }
  };
  Params params;

  void draw(int grid, int64_t images, const GroupContext& context, Masks& out) const {
    const auto colour = std::find(colours().begin(), colours().end(), params.colour) - colours().begin();
    const mask::FilteredNoise options{
        .grid = grid, .colour = static_cast<mask::NoiseColour>(colour), .sigma1 = params.sigma1, .sigma2 = params.sigma2, .ratio = params.ratio};
    mask::draw_filtered_noise(options, context.rng(), images, out);
  }

 private:
  // In the order of mask::NoiseColour.
  static const Choices& colours() {
    static const Choices choices = {"green", "red", "blue", "purple"};
    return choices;
  }
};

FLOWRUN_NODE(Noise);

}  // namespace
}  // namespace flowrun
