// Wraps a plain struct as a Node. Included by node.h only.
#pragma once

#include <type_traits>
#include <utility>

#include "graph/node.h"

namespace flowrun::detail {

/// Points the ports at the objects of this call.
struct Binder {
  const Call& call;
  const PortSlot* slot;

  void operator()(auto&... ports) { (bind(ports), ...); }

  template <class Port>
  void bind(Port& port) {
    port.value = static_cast<typename Port::Type*>(call.object(*slot++));
  }
  template <class T>
  void bind(InList<T>& list) {
    list.bind(call, slot);
    slot += slot->more + 1;
  }
};

struct PortLister {
  std::vector<PortDoc> ports;
  void operator()(auto&... port) { (add(port), ...); }

  template <class Port>
  void add(const Port& port) {
    ports.push_back({port.name, port.brief, Port::is_input, port.is_optional, &type_ops<typename Port::Type>()});
    if constexpr (!Port::is_input) ports.back().in_place = port.in_place;
    ports.back().list = requires { port.size(); };
  }
};

/// The parameters of a type that declares none.
struct NoParams {
  void describe(auto&) {}
};

template <class T>
auto& params_of(T& declared) {
  if constexpr (requires { declared.params; }) {
    return declared.params;
  } else {  // clang-format off
    static_assert(!requires { typename T::Params; }, "the type declares Params, but has no member `Params params;`");  // clang-format on
    static NoParams none;
    return none;
  }
}
template <class T>
using ParamsOf = std::remove_reference_t<decltype(params_of(std::declval<T&>()))>;

template <class N>
class NodeOf final : public Node {
 public:
  using Ports = typename N::Ports;

  ParamSet& params() override { return set_; }
  std::optional<ParamFault> check() const override {
    if constexpr (requires(const N& n) { n.params.check(); }) return node_.params.check();
    return {};
  }
  void open(const OpenContext& context) override {
    if constexpr (requires(N & n) { n.open(context); }) node_.open(context);
  }
  void run(const Call& call, const SampleContext& context) const override {
    if constexpr (N::info.scope <= Scope::sample) call_run(std::as_const(node_), call, context);
  }
  void run(const Call& call, const GroupContext& context) override {
    if constexpr (N::info.scope == Scope::batch) call_run(std::as_const(node_), call, context);
    if constexpr (N::info.scope == Scope::device) call_run(node_, call, context);
  }
  void run(const WholeContext& context) override {
    if constexpr (N::info.scope == Scope::whole) node_.run(context);
  }
  void run(const Call& call, StepContext& context) override {
    if constexpr (N::info.scope == Scope::step) call_run(node_, call, context);
  }
  void run(const Call& call, EvaluationContext& context) override {
    if constexpr (N::info.scope == Scope::evaluation) call_run(node_, call, context);
  }
  void fold(const Call& call, const FoldContext& context) override {
    if constexpr (requires(N & n, Ports & p) { n.fold(p, context); }) {
      Ports ports = bound(call);
      if constexpr (N::info.scope == Scope::batch) {
        std::as_const(node_).fold(ports, context);
      } else {
        node_.fold(ports, context);
      }
    }
  }
  void give(const Call& call, const FoldContext& context) override {
    if constexpr (N::info.scope == Scope::whole) {
      Ports ports = bound(call);
      node_.give(ports, context);
    }
  }
  void finish(StepContext& context) override {
    if constexpr (requires(N & n) { n.finish(context); }) node_.finish(context);
  }
  uint64_t size() const override {
    if constexpr (requires(const N& n) { n.size(); }) return node_.size();
    return 0;
  }
  std::string key(uint64_t sample) const override {
    if constexpr (requires(const N& n) { n.key(sample); }) return node_.key(sample);
    return "sample " + std::to_string(sample);
  }
  void prefetch(uint64_t sample) const override {
    if constexpr (requires(const N& n) { n.prefetch(sample); }) node_.prefetch(sample);
  }
  SourceData data() const override {
    if constexpr (requires(const N& n) { n.data(); }) return node_.data();
    return {.count = size()};
  }
  void map_labels(const std::vector<int64_t>& labels) override {
    if constexpr (requires(N & n) { n.map_labels(labels); }) node_.map_labels(labels);
  }
  std::optional<Grouping> grouping() const override {
    if constexpr (requires(const N& n) { n.grouping(); }) return node_.grouping();
    return {};
  }
  int64_t variant(const GroupContext& context) const override {
    if constexpr (requires(const N& n) { n.variant(context); }) return node_.variant(context);
    return 0;
  }
  bool reads(const FoldContext& context) const override {
    if constexpr (requires(const N& n) { n.reads(context); }) return node_.reads(context);
    return true;
  }
  void plan(NodePlan& plan) const override {
    if constexpr (requires(const N& n) { n.plan(plan); }) node_.plan(plan);
  }
  std::optional<State> save() const override {
    if constexpr (requires(const N& n) { n.save(); }) return node_.save();
    return {};
  }
  void restore(const State& state) override {
    if constexpr (requires(N & n) { n.restore(state); }) node_.restore(state);
  }

 private:
  static Ports bound(const Call& call) {
    Ports ports;
    Binder binder{call, call.slots};
    ports.describe(binder);
    return ports;
  }
  static void call_run(auto& node, const Call& call, auto& context) {
    // A node that only folds (a sink without work at the end of its scope) has no run().
    if constexpr (requires(Ports & p) { node.run(p, context); }) {
      Ports ports = bound(call);
      node.run(ports, context);
    }
  }

  N node_;
  ParamSetOf<ParamsOf<N>> set_{params_of(node_)};
};

template <class N>
NodeType node_type() {
  NodeType type;
  type.info = N::info;
  typename N::Ports ports;
  PortLister lister;
  ports.describe(lister);
  type.ports = std::move(lister.ports);
  ParamsOf<N> params;
  ParamSetOf<ParamsOf<N>> set(params);
  type.params = document_params(set);
  type.folds = requires(N & n, typename N::Ports & p, const FoldContext& c) { n.fold(p, c); };
  type.reads_at_times = requires(const N& n, const FoldContext& c) { n.reads(c); };
  type.stateful = requires(const N& n) { n.save(); };
  type.prefetches = requires(const N& n) { n.prefetch(uint64_t{}); };
  if constexpr (requires { N::reports(); }) type.reports = N::reports();
  type.make = [] { return std::unique_ptr<Node>(new NodeOf<N>()); };
  return type;
}

template <class M>
class ModelOf final : public Model {
 public:
  ParamSet& params() override { return set_; }
  std::optional<ParamFault> check() const override {
    if constexpr (requires(const M& m) { m.params.check(); }) return model_.params.check();
    return {};
  }
  std::unique_ptr<Resource> open(const OpenContext& context) override { return model_.open(context); }

 private:
  M model_;
  ParamSetOf<ParamsOf<M>> set_{params_of(model_)};
};

template <class M>
ModelType model_type() {
  ParamsOf<M> params;
  ParamSetOf<ParamsOf<M>> set(params);
  return {M::info, document_params(set), [] { return std::unique_ptr<Model>(new ModelOf<M>()); }};
}

}  // namespace flowrun::detail
