// The only header of the engine that a node includes. A node is one declaration and one function:
//
//   struct RandomFlip {
//     static constexpr NodeInfo info{.type = "image.random_flip", .brief = "Mirrors left-right.", .scope = Scope::sample};
//     struct Ports { In<Image> image{"image", "…"}; Out<Image> out{"image", "…"};
//                    void describe(auto& port) { port(image, out); } };
//     struct Params { double p = 0.5; void describe(auto& param) { param("p", p, Range{0, 1}, "Chance of a flip."); } };
//     Params params;  // a node without parameters declares neither
//     void run(Ports& port, const SampleContext& context) const;  // pure: same inputs, same context, same bytes
//   };
//   FLOWRUN_NODE(RandomFlip)
//
// Optional members, found by the compiler:
//   void open(const OpenContext&)                  once, before anything runs; may throw NodeError
//   void fold(Ports&, const FoldContext&) [const]  takes one record of the scope below, a whole node one group (see FoldContext)
//   void give(Ports&, const FoldContext&)          of whole nodes, behind run(const WholeContext&): the group's part of the result
//   void finish(StepContext&)                      after the last step, and after the step at which a run is stopped
//   uint64_t size() const; std::string key(uint64_t) const     sources: number of samples; name of one for messages
//   void prefetch(uint64_t) const                  sources: requests a sample that is needed soon from the storage; any thread
//   SourceData data() const                        sources: description of its data (source_data.h), once it is open
//   void map_labels(const std::vector<int64_t>&)   sources whose data() has classes: from now on label i is given as labels[i]
//   Grouping grouping() const                      of the node that stacks samples into groups
//   State save() const; void restore(const State&) the node's state in checkpoints
//   int64_t variant(const GroupContext&) const     of nodes that repeat: calls of different variants do different work
//                                                  for equal shapes; negative: must not be recorded
//   bool reads(const FoldContext&) const           of nodes with a fold(): false when that fold reads none of its inputs,
//                                                  as at most steps of a report; without it a fold always reads
//   static std::vector<std::string> reports()      of evaluations: all numbers that they may report, known before a run, as
//                                                  {"accuracy", "accuracy_k*"}: a name with * stands for all that begin so
//   void plan(NodePlan&) const                     before every run, from sizes alone (planned.h): faults of inputs that don't fit, the
//                                                  models it runs, and the shapes of its outputs
//   std::optional<ParamFault> Params::check() const  rules between parameters
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <type_traits>
#include <vector>

#include "graph/contract/context.h"
#include "graph/contract/params.h"
#include "graph/contract/scope.h"
#include "graph/contract/source_data.h"
#include "graph/contract/state.h"
#include "graph/contract/type_ops.h"
#include "graph/contract/version.h"
#include "graph/text/error.h"

namespace flowrun {

class NodePlan;  // planned.h

struct NodeInfo {
  const char* type;   // family.name
  const char* brief;  // one sentence
  Scope scope;
  const char* details = "";      // for the node's page: method, source, what it can't do
  Moment moment = Moment::work;  // of a step node
  // What it does with a group on the device (a step node: in fold()) can be recorded and played again with inputs of the same
  // shapes: the host looks at no values, draws no numbers, and keeps nothing for later; inputs stay as they are.
  bool repeats = false;
};

/// The division of samples: `size` samples make a step, in groups of `group`.
struct Grouping {
  int64_t size;
  int64_t group;
};

struct ParamFault {
  const char* param;
  std::string message;
};

struct Optional {};
inline constexpr Optional optional{};

/// An input: null when optional and not connected, and in run() when it comes from a lower scope (fold() sees those).
template <class T>
struct In {
  using Type = T;
  static constexpr bool is_input = true;
  const char* name;
  const char* brief;
  bool is_optional = false;
  const T* value = nullptr;

  In(const char* name, const char* brief) : name(name), brief(brief) {}
  In(const char* name, const char* brief, Optional) : name(name), brief(brief), is_optional(true) {}
  const T& operator*() const { return *value; }
  const T* operator->() const { return value; }
  explicit operator bool() const { return value != nullptr; }
};

/// The location of a port's object: in the record of the node's own scope, or of the scope below.
struct PortSlot {
  int index = -1;
  bool below = false;
  int more = 0;  // of a list: how many of its slots follow
};

/// One call of a node: the records' slots, and the context of the node's scope.
struct Call {
  void* const* own;
  void* const* below;
  const PortSlot* slots;

  void* object(PortSlot where) const {
    void* const* record = where.below ? below : own;
    return record != nullptr && where.index >= 0 ? record[where.index] : nullptr;
  }
};

/// A list of inputs of one type, in the order of the connections: "in": { "losses": ["a", "b.loss"] }. Empty where no object is
/// there: when not connected, and in run() when they come from a lower scope.
template <class T>
class InList {
 public:
  using Type = T;
  static constexpr bool is_input = true;
  const char* name;
  const char* brief;
  bool is_optional = false;

  InList(const char* name, const char* brief) : name(name), brief(brief) {}
  InList(const char* name, const char* brief, Optional) : name(name), brief(brief), is_optional(true) {}
  size_t size() const { return count_; }
  bool empty() const { return count_ == 0; }
  const T& operator[](size_t i) const { return *static_cast<const T*>(call_->object(slots_[i])); }
  void bind(const Call& call, const PortSlot* slots) {
    call_ = &call, slots_ = slots;
    count_ = call.object(*slots) != nullptr ? static_cast<size_t>(slots->more) + 1 : 0;
  }

 private:
  const Call* call_ = nullptr;
  const PortSlot* slots_ = nullptr;
  size_t count_ = 0;
};

/// Names the input whose object an output may reuse: if no other node reads that input, both are the same object, and
/// the node changes it in place. Otherwise they are two objects, and the node copies. Same type, same scope.
struct InPlace {
  const char* input;
};

/// An output. The object still holds the values of an earlier record, so that its memory can be reused.
template <class T>
struct Out {
  using Type = T;
  static constexpr bool is_input = false;
  static constexpr bool is_optional = false;
  const char* name;
  const char* brief;
  const char* in_place = nullptr;
  T* value = nullptr;

  Out(const char* name, const char* brief) : name(name), brief(brief) {}
  Out(const char* name, const char* brief, InPlace of) : name(name), brief(brief), in_place(of.input) {}
  T& operator*() const { return *value; }
  T* operator->() const { return value; }
};

struct PortDoc {
  std::string name, brief;
  bool input, optional;
  const TypeOps* type;
  const char* in_place = nullptr;  // of an output: the input whose object it may reuse
  bool list = false;               // an input that takes any number of connections
};

/// A type-erased node of a pipeline. One per pipeline node; thread rules as for Scope.
class Node {
 public:
  virtual ~Node() = default;
  virtual ParamSet& params() = 0;
  virtual std::optional<ParamFault> check() const = 0;
  virtual void open(const OpenContext& context) = 0;
  virtual void run(const Call& call, const SampleContext& context) const = 0;
  virtual void run(const Call& call, const GroupContext& context) = 0;
  virtual void run(const WholeContext& context) = 0;
  virtual void run(const Call& call, StepContext& context) = 0;
  virtual void run(const Call& call, EvaluationContext& context) = 0;
  virtual void fold(const Call& call, const FoldContext& context) = 0;
  virtual void give(const Call& call, const FoldContext& context) = 0;
  virtual void finish(StepContext& context) = 0;
  virtual uint64_t size() const = 0;
  virtual std::string key(uint64_t sample) const = 0;
  virtual void prefetch(uint64_t sample) const = 0;
  virtual SourceData data() const = 0;
  virtual void map_labels(const std::vector<int64_t>& labels) = 0;
  virtual std::optional<Grouping> grouping() const = 0;
  virtual int64_t variant(const GroupContext& context) const = 0;
  virtual bool reads(const FoldContext& context) const = 0;
  /// Models that the node names are open, with shapes alone; nothing else of it is.
  virtual void plan(NodePlan& plan) const = 0;
  virtual std::optional<State> save() const = 0;
  virtual void restore(const State& state) = 0;
};

/// A node type in the registry.
struct NodeType {
  NodeInfo info;
  std::vector<PortDoc> ports;  // in declared order; a list is one of them
  std::vector<ParamDoc> params;
  bool folds = false;           // has fold()
  bool reads_at_times = false;  // has reads()
  bool stateful = false;        // has save()
  bool prefetches = false;
  std::optional<std::vector<std::string>> reports;  // of reports(); none: not known before a run
  std::function<std::unique_ptr<Node>()> make;      // any thread
};

/// A type of models ("models" in a pipeline). `kind`, or `also`, is the kind that Ref<> of nodes asks for.
struct ModelInfo {
  const char* type;
  const char* brief;
  const char* kind;  // empty: the kind of the model that the first reference names
  const char* details = "";
  const char* also = "";  // a wider kind that it is, too: every "vit" is an "encoder"
};

/// Makes the resource from checked parameters, whose references are bound.
class Model {
 public:
  virtual ~Model() = default;
  virtual ParamSet& params() = 0;
  virtual std::optional<ParamFault> check() const = 0;
  virtual std::unique_ptr<Resource> open(const OpenContext& context) = 0;
};

struct ModelType {
  ModelInfo info;
  std::vector<ParamDoc> params;
  std::unique_ptr<Model> (*make)() = nullptr;
};

/// All registered types, sorted by name. Registration happens before main() and when a plug-in is loaded.
const std::vector<const NodeType*>& node_types();
const std::vector<const ModelType*>& model_types();
const NodeType* find_node_type(std::string_view type);
const ModelType* find_model_type(std::string_view type);

/// The headers that a plug-in was built against. A plug-in of another version is refused before its types are read.
struct PluginContract {
  int number;
  size_t layout;  // sizes of shared types, in case the number was not raised
  bool operator==(const PluginContract&) const = default;
};
inline constexpr PluginContract contract{plugin_contract, sizeof(NodeType) + 3 * sizeof(ModelType) + 5 * sizeof(PortDoc) + 7 * sizeof(ParamDoc) +
                                                              11 * sizeof(RunInfo) + 13 * sizeof(StepContext) + 17 * sizeof(SampleContext) +
                                                              19 * sizeof(GroupContext) + 23 * sizeof(TypeOps) + 29 * sizeof(OpenContext)};
/// A type that can't be registered (built against other headers, or with an existing name) is reported by
/// registration_fault().
void register_node(const NodeType& type, PluginContract built);
void register_model(const ModelType& type, PluginContract built);
/// The faults of registrations since the last call; empty: none.
std::string registration_fault();

}  // namespace flowrun

#include "graph/contract/node_impl.h"

/// At namespace scope of the .cpp that holds the node.
#define FLOWRUN_NODE(N) \
  static const bool flowrun_registered_##N = (::flowrun::register_node(::flowrun::detail::node_type<N>(), ::flowrun::contract), true)
#define FLOWRUN_MODEL(M) \
  static const bool flowrun_registered_##M = (::flowrun::register_model(::flowrun::detail::model_type<M>(), ::flowrun::contract), true)
