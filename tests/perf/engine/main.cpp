// perf_engine [messages] [repeats]: what the engine costs per message and node, beside a bare oneTBB flow graph and a
// hand-written loop. All variants take turns within each repeat, so that the machine's variations affect all of them;
// it prints a table with ratios between neighbours. See tests/perf/README.md.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <memory>
#include <oneapi/tbb/flow_graph.h>
#include <oneapi/tbb/task_arena.h>
#include <string>
#include <thread>
#include <vector>

#include "engine/nodes.h"
#include "graph/measure/stats.h"

namespace flowrun::perf {
namespace {

namespace flow = oneapi::tbb::flow;

struct Message {
  uint64_t id;
  double value;
};

// In flight in the bare graphs: enough that a thread never waits for a token, few enough to stay in the cache.
constexpr size_t tokens = 64;

double seconds_of(const std::function<void()>& f) {
  const auto begin = std::chrono::steady_clock::now();
  f();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

/// source -> limiter -> eight function nodes -> back to the limiter.
double tbb_chain(int64_t messages, int threads) {
  using Node = flow::function_node<Message, Message>;
  oneapi::tbb::task_arena arena(threads);
  double seconds = 0;
  arena.execute([&] {
    flow::graph graph;
    int64_t next = 0;
    flow::input_node<Message> source(graph, [&](oneapi::tbb::flow_control& control) -> Message {
      if (next == messages) {
        control.stop();
        return {};
      }
      const auto id = static_cast<uint64_t>(next++);
      return {id, static_cast<double>(id)};
    });
    flow::limiter_node<Message> limiter(graph, tokens);
    std::vector<std::unique_ptr<Node>> nodes;
    for (int i = 0; i < chain_length; ++i) {
      nodes.push_back(std::make_unique<Node>(graph, flow::unlimited, [](const Message& m) { return Message{m.id, work(m.value)}; }));
      if (i > 0) flow::make_edge(*nodes[static_cast<size_t>(i) - 1], *nodes.back());
    }
    flow::function_node<Message, flow::continue_msg> sink(graph, flow::unlimited, [](const Message&) { return flow::continue_msg(); });
    flow::make_edge(source, limiter);
    flow::make_edge(limiter, *nodes.front());
    flow::make_edge(*nodes.back(), sink);
    flow::make_edge(sink, limiter.decrementer());
    seconds = seconds_of([&] {
      source.activate();
      graph.wait_for_all();
    });
  });
  return seconds;
}

/// source -> limiter -> two branches of function nodes -> key-matching join -> function node -> back to the limiter.
double tbb_branches(int64_t messages, int threads, int length) {
  using Node = flow::function_node<Message, Message>;
  using Pair = std::tuple<Message, Message>;
  oneapi::tbb::task_arena arena(threads);
  double seconds = 0;
  arena.execute([&] {
    flow::graph graph;
    int64_t next = 0;
    flow::input_node<Message> source(graph, [&](oneapi::tbb::flow_control& control) -> Message {
      if (next == messages) {
        control.stop();
        return {};
      }
      const auto id = static_cast<uint64_t>(next++);
      return {id, static_cast<double>(id)};
    });
    flow::limiter_node<Message> limiter(graph, tokens);
    const auto key = [](const Message& m) { return m.id; };
    flow::join_node<Pair, flow::key_matching<uint64_t>> join(graph, key, key);
    std::vector<std::unique_ptr<Node>> nodes;
    const auto branch = [&](flow::receiver<Message>& end) {
      for (int i = 0; i < length; ++i) {
        nodes.push_back(std::make_unique<Node>(graph, flow::unlimited, [](const Message& m) { return Message{m.id, work(m.value)}; }));
        flow::sender<Message>& before = i == 0 ? static_cast<flow::sender<Message>&>(limiter) : *nodes[nodes.size() - 2];
        flow::make_edge(before, *nodes.back());
      }
      flow::make_edge(*nodes.back(), end);
    };
    branch(flow::input_port<0>(join));
    branch(flow::input_port<1>(join));
    flow::function_node<Pair, flow::continue_msg> last(graph, flow::unlimited, [](const Pair& pair) {
      volatile double sink = work(std::get<0>(pair).value + std::get<1>(pair).value);
      (void)sink;
      return flow::continue_msg();
    });
    flow::make_edge(source, limiter);
    flow::make_edge(join, last);
    flow::make_edge(last, limiter.decrementer());
    seconds = seconds_of([&] {
      source.activate();
      graph.wait_for_all();
    });
  });
  return seconds;
}

double tbb_diamond(int64_t messages, int threads) { return tbb_branches(messages, threads, 1); }
double tbb_views(int64_t messages, int threads) { return tbb_branches(messages, threads, view_length); }

/// The loop without a framework: each thread takes its share, and calls one function after the other.
double loop(int64_t messages, int threads, int calls) {
  const auto share = [=](int64_t begin, int64_t end) {
    double sum = 0;
    for (int64_t m = begin; m < end; ++m) {
      double x = static_cast<double>(m);
      for (int i = 0; i < calls; ++i) x = work(x);
      sum += x;
    }
    volatile double sink = sum;
    (void)sink;
  };
  return seconds_of([&] {
    std::vector<std::thread> others;
    for (int t = 1; t < threads; ++t) others.emplace_back(share, messages * t / threads, messages * (t + 1) / threads);
    share(0, messages / threads);
    for (std::thread& other : others) other.join();
  });
}

/// Of one reading of the clock, nanoseconds. The engine reads it once for each node, source and fold.
double clock_ns() {
  constexpr int readings = 1'000'000;
  uint64_t sum = 0;
  const double seconds = seconds_of([&] {
    for (int i = 0; i < readings; ++i) sum += ticks();
  });
  volatile uint64_t sink = sum;
  (void)sink;
  return seconds / readings * 1e9;
}

std::string summary(std::vector<double> values, const char* format) {
  std::sort(values.begin(), values.end());
  const auto text = [&](double value) {
    char out[32];
    std::snprintf(out, sizeof(out), format, value);
    return std::string(out);
  };
  return text(values[values.size() / 2]) + " (" + text(values.front()) + "–" + text(values.back()) + ")";
}

struct Shape {
  const char* name;
  int nodes;
  double (*ours)(int64_t, int);
  double (*theirs)(int64_t, int);
};

void compare(const Shape& shape, int64_t messages, int repeats, int threads) {
  std::vector<double> ratios, ns, tbb_ns, loop_ns;
  const double calls = static_cast<double>(messages) * shape.nodes;
  for (int r = 0; r <= repeats; ++r) {
    const double a = shape.ours(messages, threads), b = shape.theirs(messages, threads), c = loop(messages, threads, shape.nodes);
    if (r == 0) continue;  // pages, threads and caches are new
    ratios.push_back(a / b);
    ns.push_back(a / calls * 1e9);
    tbb_ns.push_back(b / calls * 1e9);
    loop_ns.push_back(c / calls * 1e9);
  }
  std::printf("| %s of %d nodes | %d | %s | %s | %s | %s |\n", shape.name, shape.nodes, threads, summary(ratios, "%.2f").c_str(),
              summary(ns, "%.0f").c_str(), summary(tbb_ns, "%.0f").c_str(), summary(loop_ns, "%.1f").c_str());
  std::fflush(stdout);
}

int run(int argc, char** argv) {
  const int64_t messages = argc > 1 ? std::atoll(argv[1]) : 200000;
  const int repeats = argc > 2 ? std::atoi(argv[2]) : 11;
  if (messages < 256 || repeats < 1) {
    std::fprintf(stderr, "usage: perf_engine [messages, at least 256] [repeats]\n");
    return 2;
  }
  std::printf("| per message and node | threads | to oneTBB, median (range) | Flowrun, ns | oneTBB, ns | loop, ns |\n|---|---|---|---|---|---|\n");
  const Shape shapes[] = {{"chain", chain_length, flowrun_chain, tbb_chain},
                          {"diamond", 3, flowrun_diamond, tbb_diamond},
                          {"two branches", 2 * view_length + 1, flowrun_views, tbb_views}};
  for (const int threads : {1, 2}) {
    for (const Shape& shape : shapes) compare(shape, messages, repeats, threads);
  }
  std::printf("\nOne reading of the clock takes %.0f ns.\n", clock_ns());
  return 0;
}

}  // namespace
}  // namespace flowrun::perf

int main(int argc, char** argv) { return flowrun::perf::run(argc, argv); }
