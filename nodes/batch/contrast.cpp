#include "graph/contract/planned.h"
#include "graph/node.h"
#include "nodes/lib/host/source/class_table.h"
#include "nodes/lib/host/types/sample_ids.h"

namespace flowrun {
namespace {

struct Contrast {
  static constexpr NodeInfo info{
      .type = "batch.contrast",
      .brief = "Draws for each sample one that is alike and many of other classes: the positive and the negatives of CRD.",
      .scope = Scope::batch,
      .details =
          "The classes are those of the source, of all its samples. Negatives of one sample differ from each other, unless the other classes "
          "have fewer samples than are asked for. Each row has numbers of its own, by its place in the group, so the draws are the same on "
          "any number of ranks. They enter the ledger."};
  struct Ports {
    In<SampleIds> ids{"ids", "From batch.stack."};
    Out<SampleIds> out{"ids", "B x (1 + negatives): the positive comes first."};
    void describe(auto& port) { port(ids, out); }
  };
  struct Params {
    int64_t negatives = 16384;
    std::string positive = "exact";
    void describe(auto& param) {
      param("negatives", negatives, Range{1, 1 << 24}, "How many of other classes.");
      param("positive", positive, positives(), "exact: the sample itself. relax: any sample of its class.");
    }
    static const Choices& positives() {
      static const Choices choices = {"exact", "relax"};
      return choices;
    }
  };
  Params params;

  void plan(NodePlan& plan) const {
    Planned& out = plan.out["ids"];
    out = Planned::of({plan.group.images, static_cast<double>(1 + params.negatives)}, "int64", 8);
    out.width = static_cast<double>(1 + params.negatives), out.views = plan.known("ids").views;
  }

  void open(const OpenContext& context) {
    const SourceData* const data = context.input("ids");
    if (data == nullptr || data->labels.empty()) throw NodeError("the source has no classes, so there are no samples of other classes to draw");
    try {
      classes_ = source::ClassTable(data->labels);
    } catch (const std::invalid_argument& error) {
      throw NodeError(error.what());
    }
  }

  void run(Ports& port, const GroupContext& context) const {
    const SampleIds& in = *port.ids;
    SampleIds& out = *port.out;
    out.rows = in.rows, out.each = 1 + params.negatives;
    out.values.resize(static_cast<size_t>(out.rows * out.each));
    const int64_t of_part = in.rows / context.parts;
    for (int64_t row = 0; row < in.rows; ++row) {
      Rng rng = context.rng(row / of_part);
      rng.seek(draws_of_row * static_cast<uint32_t>(row % of_part));
      const uint64_t high = rng.bits(), key = high << 32 | rng.bits();
      const int64_t own = in.values[static_cast<size_t>(row)];
      const std::span<int64_t> drawn(out.values.data() + row * out.each, static_cast<size_t>(out.each));
      drawn[0] = params.positive == "exact" ? own : classes_.like(own, rng);
      classes_.others(own, key, drawn.subspan(1));
    }
    context.ledger.add(hash_bytes(out.values.data(), out.bytes()));
  }

 private:
  static constexpr uint32_t draws_of_row = 64;  // room for redraws of Rng::below

  source::ClassTable classes_;
};

FLOWRUN_NODE(Contrast);

}  // namespace
}  // namespace flowrun
