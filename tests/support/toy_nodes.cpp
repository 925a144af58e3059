#include "support/toy_nodes.h"

#include <bit>
#include <cmath>
#include <cstring>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "graph/contract/device.h"
#include "graph/contract/ranks.h"

namespace flowrun::toy {
namespace {

struct Number {
  static constexpr const char* type_name = "Number";
  double value = 0;
};

struct Numbers {
  static constexpr const char* type_name = "Numbers";
  std::array<double, 256> values{};
  int64_t images = 0;
  size_t claimed = 0;  // its reported bytes
  size_t bytes() const { return sizeof *this + claimed; }
};

/// Must be released: a read after that, or a second read without a new value, is detected.
struct Dot {
  static constexpr const char* type_name = "Dot";
  double value = 0;
  bool live = false;
  void release() { live = false; }
};

uint64_t hash_of(double value) { return hash_bytes(&value, sizeof value); }

struct Vector final : Resource {
  static constexpr const char* kind = "vector";
  std::vector<double> w;

  State save() const override {
    auto copy = std::make_shared<std::vector<double>>(w);
    const void* data = copy->data();
    return {{"w", {"F64", {static_cast<int64_t>(w.size())}, {copy, data}, w.size() * sizeof(double)}}};
  }
  void restore(const State& state) override { std::memcpy(w.data(), state.at("w").data.get(), w.size() * sizeof(double)); }
};

struct Weights {
  static constexpr ModelInfo info{.type = "toy.weights", .brief = "A vector.", .kind = Vector::kind};
  struct Params {
    int64_t size = 5;
    void describe(auto& param) { param("size", size, positive, "How many."); }
  };
  Params params;
  std::unique_ptr<Resource> open(const OpenContext& context) {
    auto out = std::make_unique<Vector>();
    Rng rng(context.run.seed, context.stream, 0, 0);
    for (int64_t i = 0; i < params.size; ++i) out->w.push_back(rng.normal());
    return out;
  }
};
FLOWRUN_MODEL(Weights);

struct Copy {
  static constexpr ModelInfo info{.type = "toy.copy", .brief = "A copy of a vector.", .kind = ""};
  struct Params {
    Ref<Vector> of;
    void describe(auto& param) { param.reads("of", of, "What it copies."); }
  };
  Params params;
  std::unique_ptr<Resource> open(const OpenContext&) {
    auto out = std::make_unique<Vector>();
    out->w = params.of->w;
    return out;
  }
};
FLOWRUN_MODEL(Copy);

}  // namespace

std::atomic<int64_t> slow_reads{0};

namespace {

struct Source {
  static constexpr NodeInfo info{.type = "toy.numbers", .brief = "Numbers.", .scope = Scope::source};
  struct Ports {
    Out<Number> number{"number", "The sample's number."};
    void describe(auto& port) { port(number); }
  };
  struct Params {
    int64_t n = 64, storage_us = 0;
    std::vector<int64_t> bad;
    void describe(auto& param) {
      param("n", n, not_negative, "How many samples.");
      param("storage_us", storage_us, not_negative, "Microseconds of reading a number that was not requested before.");
      param("bad", bad, "Samples that fail.");
    }
  };
  Params params;
  void open(const OpenContext&) {
    slow_reads = 0;
    at_hand_ = std::make_unique<std::atomic<bool>[]>(static_cast<size_t>(params.n));
  }
  void prefetch(uint64_t sample) const {
    if (params.storage_us > 0 && !at_hand_[sample]) std::this_thread::sleep_for(std::chrono::microseconds(params.storage_us));
    at_hand_[sample] = true;
  }
  uint64_t size() const { return static_cast<uint64_t>(params.n); }
  std::string key(uint64_t sample) const { return "number-" + std::to_string(sample); }
  void run(Ports& port, const SampleContext& context) const {
    for (const int64_t bad : params.bad) {
      if (static_cast<uint64_t>(bad) == context.sample) throw NodeError("the number is bad");
    }
    if (params.storage_us > 0 && !at_hand_[context.sample].exchange(false)) {
      ++slow_reads;
      const auto end = std::chrono::steady_clock::now() + std::chrono::microseconds(params.storage_us);
      while (std::chrono::steady_clock::now() < end) {
        if (params.storage_us > 100) std::this_thread::sleep_until(end);  // shorter, going to sleep would be most of it
      }
    }
    port.number->value = 1.0 / (1.0 + static_cast<double>(context.sample));
  }

 private:
  std::unique_ptr<std::atomic<bool>[]> at_hand_;
};
FLOWRUN_NODE(Source);

struct OneToOne {
  In<Number> in{"number", "Any."};
  Out<Number> out{"number", "The result.", InPlace{"number"}};
  void describe(auto& port) { port(in, out); }
};

struct Noise {
  static constexpr NodeInfo info{.type = "toy.noise", .brief = "Adds noise.", .scope = Scope::sample};
  using Ports = OneToOne;
  struct Params {
    double scale = 1;
    void describe(auto& param) { param("scale", scale, Range{0, 100}, "Of the noise."); }
  };
  Params params;
  void run(Ports& port, const SampleContext& context) const {
    port.out->value = port.in->value + params.scale * context.rng().normal();
    context.ledger.add(hash_of(port.out->value));
  }
};
FLOWRUN_NODE(Noise);

struct Join {
  static constexpr NodeInfo info{.type = "toy.join", .brief = "Joins.", .scope = Scope::sample};
  struct Ports {
    In<Number> a{"a", "One."}, b{"b", "Other."};
    Out<Number> out{"number", "The result."};
    void describe(auto& port) { port(a, b, out); }
  };
  void run(Ports& port, const SampleContext&) const { port.out->value = port.a->value * 1.25 + port.b->value; }
};
FLOWRUN_NODE(Join);

struct Slow {
  static constexpr NodeInfo info{.type = "toy.slow", .brief = "Takes its time.", .scope = Scope::sample};
  using Ports = OneToOne;
  struct Params {
    double microseconds = 20;
    void describe(auto& param) { param("microseconds", microseconds, not_negative, "At most."); }
  };
  Params params;
  void run(Ports& port, const SampleContext& context) const {
    const auto begin = std::chrono::steady_clock::now();
    const double share = context.rng().uniform();
    while (std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - begin).count() < share * params.microseconds) {
    }
    port.out->value = port.in->value;
  }
};
FLOWRUN_NODE(Slow);

struct Fail {
  static constexpr NodeInfo info{.type = "toy.fail", .brief = "Fails.", .scope = Scope::sample};
  using Ports = OneToOne;
  struct Params {
    std::vector<int64_t> samples, fatal, odd;
    double chance = 0;
    void describe(auto& param) {
      param("samples", samples, "That fail.");
      param("fatal", fatal, "That end the run.");
      param("odd", odd, "That are kept with a remark.");
      param("chance", chance, Range{0, 1}, "Of the others.");
    }
  };
  Params params;
  void run(Ports& port, const SampleContext& context) const {
    for (const int64_t bad : params.samples) {
      if (static_cast<uint64_t>(bad) == context.sample) throw NodeError("sample " + std::to_string(bad) + " is listed");
    }
    for (const int64_t bad : params.fatal) {
      if (static_cast<uint64_t>(bad) == context.sample) throw FatalNodeError("sample " + std::to_string(bad) + " is fatal");
    }
    for (const int64_t odd : params.odd) {
      if (static_cast<uint64_t>(odd) == context.sample) context.kept("sample " + std::to_string(odd) + " is odd");
    }
    if (context.rng().chance(params.chance)) throw NodeError("bad luck");
    port.out->value = port.in->value;
  }
};
FLOWRUN_NODE(Fail);

struct Stack {
  static constexpr NodeInfo info{.type = "toy.stack", .brief = "Stacks.", .scope = Scope::batch};
  struct Ports {
    In<Number> in{"number", "Any."};
    Out<Numbers> out{"numbers", "The group."};
    void describe(auto& port) { port(in, out); }
  };
  struct Params {
    int64_t size = 8, group = 4, claim_mib = 0, fail_step = 0, fail_fold = -1;
    void describe(auto& param) {
      param("size", size, Range{1, 4096}, "Of a step.");
      param("group", group, Range{1, 256}, "Of a group.");
      param("claim_mib", claim_mib, not_negative, "The reported memory of a group, MiB.");
      param("fail_step", fail_step, not_negative, "Fails in this step; 0: never.");
      param("fail_fold", fail_fold, Range{-1}, "Fails to fold this sample; -1: none.");
    }
  };
  Params params;
  Grouping grouping() const { return {params.size, params.group}; }
  void fold(Ports& port, const FoldContext& context) const {
    if (params.fail_fold >= 0 && context.sample == static_cast<uint64_t>(params.fail_fold)) throw NodeError("it does not fit");
    port.out->values[static_cast<size_t>(context.index)] = port.in->value;
    if (context.index == 0) port.out->claimed = static_cast<size_t>(params.claim_mib) << 20;
    context.ledger.add(hash_of(port.in->value));
  }
  void run(Ports& port, const GroupContext& context) const {
    if (context.step == params.fail_step) throw NodeError("this group is bad");
    port.out->images = context.images;
  }
};
FLOWRUN_NODE(Stack);

struct Mask {
  static constexpr NodeInfo info{.type = "toy.mask", .brief = "Random per group.", .scope = Scope::batch};
  struct Ports {
    In<Numbers> in{"numbers", "Any."};
    Out<Number> out{"mask", "The mask."};
    void describe(auto& port) { port(in, out); }
  };
  struct Params {
    int64_t fail_step = 0;
    void describe(auto& param) { param("fail_step", fail_step, not_negative, "Fails in this step; 0: never."); }
  };
  Params params;
  void run(Ports& port, const GroupContext& context) const {
    if (context.step == params.fail_step) throw NodeError("no mask fits");
    port.out->value = context.rng().normal() + static_cast<double>(port.in->images);
    context.ledger.add(hash_of(port.out->value));
  }
};
FLOWRUN_NODE(Mask);

struct Scale {
  static constexpr NodeInfo info{.type = "toy.scale", .brief = "Dot product with a model.", .scope = Scope::device};
  struct Ports {
    In<Numbers> in{"numbers", "Any."};
    In<Number> mask{"mask", "Adds.", optional};
    Out<Dot> out{"dot", "The product."};
    void describe(auto& port) { port(in, mask, out); }
  };
  struct Params {
    Ref<Vector> model;
    int64_t fail_step = 0;
    void describe(auto& param) {
      param.reads("model", model, "Reads it.");
      param("fail_step", fail_step, not_negative, "Fails in this step; 0: never.");
    }
  };
  Params params;
  void run(Ports& port, const GroupContext& context) {
    if (context.step == params.fail_step) throw NodeError("the device is gone");
    const std::vector<double>& w = params.model->w;
    double sum = port.mask ? port.mask->value : 0;
    for (int64_t i = 0; i < context.images; ++i) {
      sum += port.in->values[static_cast<size_t>(i)] * w[static_cast<size_t>(i) % w.size()];
    }
    port.out->value = sum;
    port.out->live = true;
  }
};
FLOWRUN_NODE(Scale);

struct Add {
  static constexpr NodeInfo info{.type = "toy.add", .brief = "Adds.", .scope = Scope::device};
  struct Ports {
    In<Dot> a{"a", "One."}, b{"b", "Other."};
    Out<Dot> out{"dot", "The result."};
    Out<Dot> sum{"sum", "A value that no test reads."};
    void describe(auto& port) { port(a, b, out, sum); }
  };
  void run(Ports& port, const GroupContext&) {
    if (!port.a->live || !port.b->live) throw NodeError("a value was released before it was read");
    port.out->value = port.a->value - 0.3 * port.b->value;
    port.sum->value = port.a->value + port.b->value;
    port.out->live = port.sum->live = true;
  }
};
FLOWRUN_NODE(Add);

struct Total {
  static constexpr NodeInfo info{.type = "toy.total", .brief = "Adds any number.", .scope = Scope::device};
  struct Ports {
    InList<Dot> dots{"dots", "Some."};
    In<Dot> last{"last", "Another.", optional};
    Out<Dot> out{"dot", "The result."};
    void describe(auto& port) { port(dots, last, out); }
  };
  void run(Ports& port, const GroupContext&) {
    double sum = port.last ? port.last->value : 0;
    for (size_t i = 0; i < port.dots.size(); ++i) {
      if (!port.dots[i].live) throw NodeError("a value was released before it was read");
      sum = std::sin(sum) + port.dots[i].value;  // the order shows
    }
    port.out->value = sum;
    port.out->live = true;
  }
};
FLOWRUN_NODE(Total);

struct Centre {
  static constexpr NodeInfo info{.type = "toy.centre", .brief = "Takes off what the groups of a step have in common.", .scope = Scope::whole};
  struct Ports {
    In<Dot> in{"dot", "Of each group."};
    Out<Dot> out{"dot", "The result."};
    void describe(auto& port) { port(in, out); }
  };
  struct Params {
    int64_t fail_step = 0;
    double noise = 0;
    void describe(auto& param) {
      param("fail_step", fail_step, not_negative, "Fails in this step; 0: never.");
      param("noise", noise, not_negative, "Scale of a number that is drawn once a step.");
    }
  };
  Params params;
  void fold(Ports& port, const FoldContext& context) {
    if (!port.in->live) throw NodeError("a value was released before it was read");
    if (context.index != static_cast<int64_t>(values_.size())) throw NodeError("group " + std::to_string(context.index) + " comes out of order");
    values_.push_back(port.in->value);
  }
  void run(const WholeContext& context) {
    if (context.step == params.fail_step) throw NodeError("they have nothing in common");
    if (context.groups != static_cast<int64_t>(values_.size())) throw NodeError("a group is missing");
    common_ = params.noise * context.rng().normal();
    for (const double value : of_all_ranks(context)) common_ = std::sin(common_ * 1.1) + value;  // the order shows
  }
  void give(Ports& port, const FoldContext& context) {
    port.out->value = values_[static_cast<size_t>(context.index)] - 0.1 * common_;
    port.out->live = true;
    if (context.index + 1 == context.count) values_.clear();
  }

 private:
  std::vector<double> of_all_ranks(const WholeContext& context) const {
    if (context.run.ranks == nullptr) return values_;
    std::vector<double> out;
    const std::string mine(reinterpret_cast<const char*>(values_.data()), values_.size() * sizeof(double));
    for (const std::string& bytes : context.run.ranks->gather(mine, "values")) {
      out.resize(out.size() + bytes.size() / sizeof(double));
      std::memcpy(out.data() + out.size() - bytes.size() / sizeof(double), bytes.data(), bytes.size());
    }
    return out;
  }

  std::vector<double> values_;
  double common_ = 0;
};
FLOWRUN_NODE(Centre);

struct Totals {
  static constexpr NodeInfo info{.type = "toy.totals", .brief = "Adds any number over groups.", .scope = Scope::step};
  struct Ports {
    InList<Dot> dots{"dots", "Of each group.", optional};
    void describe(auto& port) { port(dots); }
  };
  void fold(Ports& port, const FoldContext&) {
    for (size_t i = 0; i < port.dots.size(); ++i) sum_ = std::sin(sum_) + port.dots[i].value;
  }
  void run(Ports& port, StepContext& context) {
    if (!port.dots.empty()) throw NodeError("run() sees what only fold() may");
    context.report("totals", std::exchange(sum_, 0));
  }

 private:
  double sum_ = 0;
};
FLOWRUN_NODE(Totals);

struct Sum {
  static constexpr NodeInfo info{.type = "toy.sum", .brief = "Learns.", .scope = Scope::step};
  struct Ports {
    In<Dot> in{"dot", "Of each group."};
    Out<Number> out{"loss", "The sum."};
    void describe(auto& port) { port(in, out); }
  };
  struct Params {
    Ref<Vector> model;
    int64_t fail_step = 0;
    void describe(auto& param) {
      param.writes("model", model, "Changes it.");
      param("fail_step", fail_step, not_negative, "Fails in this step; 0: never.");
    }
  };
  Params params;
  void fold(Ports& port, const FoldContext& context) {
    if (context.index != seen_++) throw NodeError("group " + std::to_string(context.index) + " comes out of order");
    if (!port.in->live) throw NodeError("a value was released before it was read");
    sum_ = std::sin(sum_ * 1.1) + port.in->value;  // not associative: any other order shows
  }
  void run(Ports& port, StepContext& context) {
    if (context.step == params.fail_step) throw NodeError("the loss is not finite");
    for (double& w : params.model->w) w = std::sin(w * 1.3 + 0.1 * sum_);
    port.out->value = sum_;
    context.report("loss", sum_);
    sum_ = 0;
    seen_ = 0;
  }

 private:
  double sum_ = 0;
  int64_t seen_ = 0;
};
FLOWRUN_NODE(Sum);

struct Ema {
  static constexpr NodeInfo info{.type = "toy.ema", .brief = "Follows a model.", .scope = Scope::step};
  struct Ports {
    void describe(auto& port) { port(); }
  };
  struct Params {
    Ref<Vector> from, to;
    void describe(auto& param) {
      param.reads("from", from, "The model.");
      param.writes("to", to, "What follows.");
    }
  };
  Params params;
  void run(Ports&, StepContext&) {
    for (size_t i = 0; i < params.to->w.size(); ++i) params.to->w[i] = 0.9 * params.to->w[i] + 0.1 * params.from->w[i];
  }
};
FLOWRUN_NODE(Ema);

struct Count {
  static constexpr NodeInfo info{.type = "toy.count", .brief = "Counts and remembers.", .scope = Scope::step};
  struct Ports {
    In<Number> loss{"loss", "Summed.", optional};
    void describe(auto& port) { port(loss); }
  };
  void run(Ports& port, StepContext& context) {
    state_[0] += 1;
    state_[1] = state_[1] * 0.7 + (port.loss ? port.loss->value : 1);
    context.report("counted", state_[0]);
    context.report("smooth", state_[1]);
  }
  State save() const {
    auto copy = std::make_shared<std::array<double, 2>>(state_);
    return {{"state", {"F64", {2}, copy, sizeof state_}}};
  }
  void restore(const State& state) { std::memcpy(state_.data(), state.at("state").data.get(), sizeof state_); }

 private:
  std::array<double, 2> state_{};
};
FLOWRUN_NODE(Count);

struct Record {
  static constexpr NodeInfo info{.type = "toy.record", .brief = "Reports a model.", .scope = Scope::step, .moment = Moment::report};
  struct Ports {
    void describe(auto& port) { port(); }
  };
  struct Params {
    Ref<Vector> models;
    int64_t fail_step = 0;
    void describe(auto& param) {
      param.reads("models", models, "Whose first weight is reported.", true);
      param("fail_step", fail_step, not_negative, "Fails in this step; 0: never.");
    }
  };
  Params params;
  void run(Ports&, StepContext& context) {
    if (context.step == params.fail_step) throw NodeError("the disk is full");
    for (size_t m = 0; m < params.models.size(); ++m) context.report("first " + params.models.names[m], params.models[m].w[0]);
  }
};
FLOWRUN_NODE(Record);

struct Look {
  static constexpr NodeInfo info{.type = "toy.look", .brief = "Looks at groups.", .scope = Scope::step};
  struct Ports {
    In<Numbers> in{"numbers", "Any."};
    void describe(auto& port) { port(in); }
  };
  void fold(Ports& port, const FoldContext&) { seen_ += port.in->images; }

 private:
  int64_t seen_ = 0;
};
FLOWRUN_NODE(Look);

struct Measure {
  static constexpr NodeInfo info{.type = "toy.measure", .brief = "Sums what passes.", .scope = Scope::evaluation};
  struct Ports {
    In<Numbers> in{"numbers", "One stream."};
    In<Numbers> other{"other", "Another.", optional};
    In<Dot> dot{"dot", "Products.", optional};
    void describe(auto& port) { port(in, other, dot); }
  };
  struct Params {
    Ref<Vector> model;
    bool fail = false;
    void describe(auto& param) {
      param.reads("model", model, "Reported.");
      param("fail", fail, "Whether it fails.");
    }
  };
  Params params;
  void fold(Ports& port, const FoldContext& context) {
    for (const auto* values : {port.in.value, port.other.value}) {
      if (!values) continue;
      for (int64_t i = 0; i < context.images; ++i) sum_ = sum_ * 1.01 + values->values[static_cast<size_t>(i)];
      (values == port.in.value ? images_ : others_) += context.images;
    }
    if (port.dot) sum_ = sum_ * 1.01 + port.dot->value;
    ++groups_;
  }
  void run(Ports&, EvaluationContext& context) {
    if (params.fail) throw NodeError("it can't be measured");
    context.report("sum", std::exchange(sum_, 0));
    context.report("images", static_cast<double>(std::exchange(images_, 0)));
    context.report("others", static_cast<double>(std::exchange(others_, 0)));
    context.report("groups", static_cast<double>(std::exchange(groups_, 0)));
    context.report("weight", params.model->w[0]);
  }

 private:
  double sum_ = 0;
  int64_t images_ = 0, others_ = 0, groups_ = 0;
};
FLOWRUN_NODE(Measure);

}  // namespace
}  // namespace flowrun::toy
