// The only header of the engine that a node includes. A node is one declaration and one function:
//
//   struct RandomFlip {
//     static constexpr NodeInfo info{.type = "image.random_flip", .brief = "Mirrors left-right.", .scope = Scope::sample};
//     struct Ports { In<Image> image{"image", "…"}; Out<Image> out{"image", "…"};
//                    void describe(auto& port) { port(image, out); } };
//     struct Params { double p = 0.5; void describe(auto& param) { param("p", p, Range{0, 1}, "Chance of a flip."); } };
//     Params params;
//     void run(Ports& port, const SampleContext& context) const;  // pure: same inputs, same context, same bytes
//   };
//   FLOWRUN_NODE(RandomFlip)
//
// Optional members, found by the compiler:
//   void open(const OpenContext&)                  once, before anything runs; may throw NodeError
//   void fold(Ports&, const FoldContext&) [const]  takes one record of the scope below (see FoldContext)
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
//   std::optional<ParamFault> Params::check() const  rules between parameters
#pragma once

#include <optional>
#include <string>
#include <type_traits>
#include <vector>

#include "graph/context.h"
#include "graph/error.h"
#include "graph/params.h"
#include "graph/source_data.h"
#include "graph/state.h"
#include "graph/version.h"

namespace flowrun {

/// Where and how often a node runs. Lower scopes feed higher ones through fold().
enum class Scope {
  source,      // per sample, first: emits it. Any thread, any order; const
  sample,      // per sample. Any thread, any order; const
  batch,       // per group of samples, on the host. Any thread, any order; const
  device,      // per group, on the device's executor, in order
  step,        // per optimiser step, on the device's executor, in order; a sink is a step node without outputs
  evaluation,  // once per evaluation, after its streams have passed
};
const char* scope_name(Scope scope);

struct NodeInfo {
  const char* type;   // family.name
  const char* brief;  // one sentence
  Scope scope;
  const char* details = "";  // for the node's page: method, source, limits
  int late = 0;              // of a step node: runs after less late ones of its step (1 reports, 2 metrics, 3 checkpoints)
  // The node's work on a group (a step node: in fold()) can be recorded, and played with inputs of the same shapes: the host
  // reads no values, draws no numbers, and keeps nothing for later; inputs are not changed.
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

/// The engine's access to a type that travels through a port. T has `static constexpr const char* type_name`, a default
/// constructor, and optionally `void release()` (frees memory that must not outlive the last reader; without it the
/// object keeps its memory for the next record), `size_t bytes() const` (counted against run.memory), an assignment (only
/// outputs of batch nodes that have it can be shared between runs), and two functions for inputs of recorded work:
/// `std::string shape() const`, and `void refill(const T& from)`, which copies values of the same shape into its own
/// memory.
struct TypeOps {
  const char* name;
  void* (*make)();
  void (*destroy)(void*);
  void (*release)(void*);
  size_t (*bytes)(const void*);
  void (*copy)(void* to, const void* from);  // null: T can't be assigned
  bool releases;                             // has release()
  std::string (*shape)(const void*);         // null: T can't be the input of recorded work; likewise refill
  void (*refill)(void* to, const void* from);
};

template <class T>
concept Releases = requires(T& value) {
  value.release();
};
template <class T>
concept CountsBytes = requires(const T& value) {
  value.bytes();
};

template <class T>
concept Refills = requires(T& value, const T& from) {
  value.refill(from);
  std::string(from.shape());
};

template <class T>
constexpr auto shape_op() -> std::string (*)(const void*) {
  if constexpr (Refills<T>) return [](const void* p) { return static_cast<const T*>(p)->shape(); };
  return nullptr;
}
template <class T>
constexpr auto refill_op() -> void (*)(void*, const void*) {
  if constexpr (Refills<T>) return [](void* to, const void* from) { static_cast<T*>(to)->refill(*static_cast<const T*>(from)); };
  return nullptr;
}
template <class T>
constexpr auto copy_op() -> void (*)(void*, const void*) {
  if constexpr (std::is_copy_assignable_v<T>) return [](void* to, const void* from) { *static_cast<T*>(to) = *static_cast<const T*>(from); };
  return nullptr;
}

template <class T>
const TypeOps& type_ops() {
  static const TypeOps ops{.name = T::type_name,
                           .make = [] { return static_cast<void*>(new T()); },
                           .destroy = [](void* p) { delete static_cast<T*>(p); },
                           .release =
                               []([[maybe_unused]] void* p) {
                                 if constexpr (Releases<T>) static_cast<T*>(p)->release();
                               },
                           .bytes = []([[maybe_unused]] const void* p) -> size_t {
                             if constexpr (CountsBytes<T>) return static_cast<const T*>(p)->bytes();
                             return 0;
                           },
                           .copy = copy_op<T>(),
                           .releases = Releases<T>,
                           .shape = shape_op<T>(),
                           .refill = refill_op<T>()};
  return ops;
}

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
};

/// The location of a port's object: in the record of the node's own scope, or of the scope below.
struct PortSlot {
  int index = -1;
  bool below = false;
};

/// One call of a node: the records' slots, and the context of the node's scope.
struct Call {
  void* const* own;
  void* const* below;
  const PortSlot* slots;
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
  virtual void run(const Call& call, StepContext& context) = 0;
  virtual void run(const Call& call, EvaluationContext& context) = 0;
  virtual void fold(const Call& call, const FoldContext& context) = 0;
  virtual void finish(StepContext& context) = 0;
  virtual uint64_t size() const = 0;
  virtual std::string key(uint64_t sample) const = 0;
  virtual void prefetch(uint64_t sample) const = 0;
  virtual SourceData data() const = 0;
  virtual void map_labels(const std::vector<int64_t>& labels) = 0;
  virtual std::optional<Grouping> grouping() const = 0;
  virtual int64_t variant(const GroupContext& context) const = 0;
  virtual bool reads(const FoldContext& context) const = 0;
  virtual std::optional<State> save() const = 0;
  virtual void restore(const State& state) = 0;
};

/// A node type in the registry.
struct NodeType {
  NodeInfo info;
  std::vector<PortDoc> ports;  // in declared order
  std::vector<ParamDoc> params;
  bool folds = false;           // has fold()
  bool reads_at_times = false;  // has reads()
  bool stateful = false;        // has save()
  bool prefetches = false;
  std::unique_ptr<Node> (*make)() = nullptr;
};

/// A type of models ("models" in a pipeline). `kind` is the kind that Ref<> of nodes asks for.
struct ModelInfo {
  const char* type;
  const char* brief;
  const char* kind;  // empty: the kind of the model that the first reference names
  const char* details = "";
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

#include "graph/node_impl.h"

/// At namespace scope of the .cpp that holds the node.
#define FLOWRUN_NODE(N) \
  static const bool flowrun_registered_##N = (::flowrun::register_node(::flowrun::detail::node_type<N>(), ::flowrun::contract), true)
#define FLOWRUN_MODEL(M) \
  static const bool flowrun_registered_##M = (::flowrun::register_model(::flowrun::detail::model_type<M>(), ::flowrun::contract), true)
