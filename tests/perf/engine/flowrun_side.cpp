// The engine as it is used: a pipeline in JSON, Engine::run(), statistics on. Each message also passes a source, and
// is folded into a group of 256; that is part of what a message costs here.
#include <array>
#include <chrono>
#include <stdexcept>

#include "engine/nodes.h"
#include "graph/compose/pipeline.h"
#include "graph/contract/device.h"
#include "graph/engine/engine.h"

namespace flowrun::perf {
namespace {

struct Number {
  static constexpr const char* type_name = "Number";
  double value = 0;
};
struct Numbers {
  static constexpr const char* type_name = "Numbers";
  std::array<double, 256> values{};
};
struct None {
  void describe(auto&) {}
};

struct Source {
  static constexpr NodeInfo info{.type = "perf.source", .brief = "Numbers.", .scope = Scope::source};
  struct Ports {
    Out<Number> number{"number", "The sample."};
    void describe(auto& port) { port(number); }
  };
  struct Params {
    int64_t n = 0;
    void describe(auto& param) { param("n", n, positive, "Samples."); }
  };
  Params params;
  uint64_t size() const { return static_cast<uint64_t>(params.n); }
  void run(Ports& port, const SampleContext& context) const { port.number->value = static_cast<double>(context.sample); }
};
FLOWRUN_NODE(Source);

struct Step {
  static constexpr NodeInfo info{.type = "perf.step", .brief = "Trivial.", .scope = Scope::sample};
  struct Ports {
    In<Number> in{"number", "Any."};
    Out<Number> out{"number", "The result."};
    void describe(auto& port) { port(in, out); }
  };
  using Params = None;
  Params params;
  void run(Ports& port, const SampleContext&) const { port.out->value = work(port.in->value); }
};
FLOWRUN_NODE(Step);

struct Join {
  static constexpr NodeInfo info{.type = "perf.join", .brief = "Trivial.", .scope = Scope::sample};
  struct Ports {
    In<Number> a{"a", "One."}, b{"b", "Other."};
    Out<Number> out{"number", "The result."};
    void describe(auto& port) { port(a, b, out); }
  };
  using Params = None;
  Params params;
  void run(Ports& port, const SampleContext&) const { port.out->value = work(port.a->value + port.b->value); }
};
FLOWRUN_NODE(Join);

struct Stack {
  static constexpr NodeInfo info{.type = "perf.stack", .brief = "Stacks.", .scope = Scope::batch};
  struct Ports {
    In<Number> in{"number", "Any."};
    Out<Numbers> out{"numbers", "The group."};
    void describe(auto& port) { port(in, out); }
  };
  using Params = None;
  Params params;
  Grouping grouping() const { return {256, 256}; }
  void fold(Ports& port, const FoldContext& context) const { port.out->values[static_cast<size_t>(context.index)] = port.in->value; }
};
FLOWRUN_NODE(Stack);

struct Sink {
  static constexpr NodeInfo info{.type = "perf.sink", .brief = "Takes groups.", .scope = Scope::step};
  struct Ports {
    In<Numbers> in{"numbers", "Any."};
    void describe(auto& port) { port(in); }
  };
  using Params = None;
  Params params;
  void fold(Ports& port, const FoldContext&) { sum_ += port.in->values[0]; }

 private:
  double sum_ = 0;
};
FLOWRUN_NODE(Sink);

double run(const std::string& nodes, int64_t messages, int threads) {
  const std::string text = R"({ "nodes": { "source": { "type": "perf.source", "n": )" + std::to_string(messages) + "}, " + nodes +
                           R"("stack": { "type": "perf.stack", "in": "last" }, "sink": { "type": "perf.sink", "in": "stack" } } })";
  Diagnostics faults;
  const auto source = std::make_shared<::flowrun::Source>(::flowrun::Source{"perf", text});
  CheckedPipeline pipeline = validate(load_pipeline(source, {}, faults), faults);
  if (!faults.empty()) throw std::runtime_error(faults.render());
  resolve_device(pipeline.run);
  Engine engine(pipeline, {.threads = threads});
  const auto begin = std::chrono::steady_clock::now();
  engine.run();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

}  // namespace

namespace {

/// `length` nodes one after the other, the last of them called `last`.
std::string steps(const std::string& prefix, int length, const std::string& last) {
  std::string nodes, before = "source";
  for (int i = 1; i <= length; ++i) {
    const std::string name = i == length ? last : prefix + std::to_string(i);
    nodes += "\"" + name + "\": { \"type\": \"perf.step\", \"in\": \"" + before + "\" }, ";
    before = name;
  }
  return nodes;
}

double branches(int64_t messages, int threads, int length) {
  return run(steps("a", length, "a") + steps("b", length, "b") + R"("last": { "type": "perf.join", "in": { "a": "a", "b": "b" } }, )", messages,
             threads);
}

}  // namespace

double flowrun_chain(int64_t messages, int threads) { return run(steps("n", chain_length, "last"), messages, threads); }
double flowrun_diamond(int64_t messages, int threads) { return branches(messages, threads, 1); }
double flowrun_views(int64_t messages, int threads) { return branches(messages, threads, view_length); }

}  // namespace flowrun::perf
