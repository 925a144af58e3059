#include <algorithm>

#include "graph/node.h"
#include "nodes/lib/tensor/loss/attention.h"
#include "nodes/lib/tensor/loss/attention_loss.h"

namespace flowrun {
namespace {

struct RelationParams : loss::Weight {
  std::vector<std::string> of = {"value"};
  int64_t heads = 0;
  void describe(auto& param) {
    param("of", of, "What is related: any of query, key and value. MiniLM takes value, its second version all three.");
    param("heads", heads, not_negative, "Relation heads that the width is split into; 0: the attention's own, equally many in both networks.");
    Weight::describe(param);
  }
  std::optional<ParamFault> check() const {
    if (of.empty()) return ParamFault{"of", "of must name query, key or value"};
    for (const std::string& name : of) {
      if (name != "query" && name != "key" && name != "value") return ParamFault{"of", "of can't be \"" + name + "\": query, key or value"};
      if (std::count(of.begin(), of.end(), name) > 1) return ParamFault{"of", name + " is named twice"};
    }
    return {};
  }
};

struct ValueRelation : loss::OnAttention<ValueRelation, RelationParams> {
  static constexpr NodeInfo info = loss::info(
      {.type = "loss.value_relation",
       .brief = "KL divergence between the relations of values, queries or keys among the tokens in teacher and student: MiniLM.",
       .details =
           "R = softmax(x x' / sqrt(width of a head)) of each relation head; KL(R of the teacher, R of the student), in float32, the mean over "
           "images, heads and tokens, and the sum over blocks and over what is related (Wang et al., 2020 and 2021). Widths may differ. Published "
           "is the last block of the student, and one of the teacher."});

  bool needs_heads() const { return params.heads == 0; }
  Tensor value(const model::AttentionTap& student, const model::AttentionTap& teacher) const {
    Tensor sum;
    for (const std::string& name : params.of) {
      const Tensor value = loss::relation(part(student, name), part(teacher, name), params.heads);
      sum = sum.defined() ? sum.add(value) : value;
    }
    return sum;
  }

 private:
  static const Tensor& part(const model::AttentionTap& tap, const std::string& name) {
    return name == "query" ? tap.query_BHSE : name == "key" ? tap.key_BHSE : tap.value_BHSE;
  }
};

FLOWRUN_NODE(ValueRelation);

}  // namespace
}  // namespace flowrun
