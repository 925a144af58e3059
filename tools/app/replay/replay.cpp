#include "tools/app/replay/replay.h"

#include <algorithm>
#include <memory>
#include <set>

#include "tools/app/exit.h"
#include "tools/app/load/part.h"
#include "tools/app/replay/past_run.h"
#include "tools/app/replay/replay_picture.h"
#include "tools/app/replay/sample_collector.h"
#include "tools/app/replay/sample_places.h"
#include "tools/app/results/hex.h"

namespace flowrun::app {
namespace {

using nlohmann::ordered_json;

bool gives_anything(const CheckedNode& node) {
  return std::any_of(node.ports.begin(), node.ports.end(), [](const PortDoc& port) { return !port.input; });
}

/// Of those that lead to training: what is drawn for a group (masks), and the nodes of samples that no other such node reads.
std::vector<std::string> last_nodes(const CheckedPipeline& pipeline) {
  const std::vector<bool> trains = lower(pipeline).trains;
  std::set<int> read;
  std::vector<int> nodes;
  for (const int n : pipeline.nodes_of(pipeline.training_source)) {
    const CheckedNode& node = pipeline.nodes[static_cast<size_t>(n)];
    if (!trains[static_cast<size_t>(n)]) continue;
    if (node.scope() <= Scope::sample) {
      for (const PortSource& from : node.sources) read.insert(from.node);
      nodes.push_back(n);
    } else if (node.scope() == Scope::batch && !node.node->grouping() && gives_anything(node)) {
      nodes.push_back(n);
    }
  }
  std::vector<std::string> out;
  for (const int n : nodes) {
    if (!read.contains(n)) out.push_back(pipeline.nodes[static_cast<size_t>(n)].name);
  }
  return out;
}

std::vector<std::string> choose_nodes(const CheckedPipeline& pipeline, const std::string& name) {
  if (name.empty()) return last_nodes(pipeline);
  std::vector<std::string> names;
  for (const int n : pipeline.nodes_of(pipeline.training_source)) {
    const CheckedNode& node = pipeline.nodes[static_cast<size_t>(n)];
    if (node.scope() <= Scope::batch) names.push_back(node.name);
  }
  if (std::find(names.begin(), names.end(), name) != names.end()) return {name};
  for (const CheckedNode& node : pipeline.nodes) {
    if (node.name != name) continue;
    throw PipelineError(
        "error: --node: " + name + " is " +
        (node.scope() <= Scope::batch ? "of another stream than the one that trains" : "a " + std::string(scope_name(node.scope())) + " node") +
        "; what can be replayed: " + join(names));
  }
  throw PipelineError("error: --node: no node \"" + name + "\"; " + did_you_mean(name, names) + "there are: " + join(names));
}

bool leads_to(const CheckedPipeline& pipeline, int from, int to) {
  std::vector<bool> ancestors(pipeline.nodes.size());
  ancestors[static_cast<size_t>(to)] = true;
  mark_ancestors(pipeline, ancestors);
  return ancestors[static_cast<size_t>(from)];
}

io::PixelBuffer draw(const CheckedPipeline& pipeline, const std::map<int, SampleCollector::Seen>& seen) {
  const std::vector<uint8_t>* file = nullptr;
  std::vector<Shown::Boxes> regions;
  std::vector<PictureRow> rows;
  std::vector<int> shown;  // the node of each row
  for (auto at = seen.rbegin(); at != seen.rend(); ++at) {
    const auto& [n, node] = *at;
    const Shown* image = nullptr;
    for (const SampleCollector::Output& output : node.outputs) {
      if (!output.value.file.empty()) file = &output.value.file;
      if (output.value.boxes) regions.insert(regions.begin(), *output.value.boxes);
      if (output.value.is_picture && image == nullptr) image = &output.value;
    }
    // The last image of each branch.
    const bool leads_on = std::any_of(shown.begin(), shown.end(), [&, node = n](int row) { return leads_to(pipeline, node, row); });
    if (image == nullptr || leads_on) continue;
    rows.insert(rows.begin(), {&*image->pixels, {}});
    shown.insert(shown.begin(), n);
  }
  for (const auto& [n, node] : seen) {
    for (const SampleCollector::Output& output : node.outputs) {
      const Shown& value = output.value;
      if (value.masks.empty()) continue;
      for (size_t row = 0; row < rows.size(); ++row) {
        const bool fits = rows[row].image->views * value.repeats == static_cast<int64_t>(value.masks.size()) && leads_to(pipeline, shown[row], n);
        if (fits) rows[row].masks.push_back(&value);
      }
    }
  }
  return replay_picture(file, regions, rows);
}

ordered_json to_json(const CheckedPipeline& pipeline, const std::map<int, SampleCollector::Seen>& seen) {
  ordered_json nodes = ordered_json::array();
  for (const auto& [n, node] : seen) {
    ordered_json outputs = ordered_json::array();
    for (const SampleCollector::Output& output : node.outputs) {
      ordered_json entry = {{"port", output.port->name}, {"type", output.port->type->name}, {"shape", output.value.text}};
      entry["hash"] = output.value.content ? ordered_json(hex(*output.value.content)) : ordered_json();
      entry.update(output.value.details);
      outputs.push_back(std::move(entry));
    }
    const CheckedNode& checked = pipeline.nodes[static_cast<size_t>(n)];
    nodes.push_back({{"node", checked.name}, {"type", checked.type->info.type}, {"ms", node.ms}, {"outputs", outputs}});
  }
  return nodes;
}

ordered_json named(const RepeatedRun& again, uint64_t sample) { return {{"sample", sample}, {"key", again.source().node->key(sample)}}; }

PastRun open_run(const ReplayArgs& args) {
  PastRun past(args.run, args.trust);
  if (args.epoch >= past.pipeline.run.epochs) {
    throw PipelineError("error: --epoch " + std::to_string(args.epoch) + " is beyond the run: its epochs are 0 to " +
                        std::to_string(past.pipeline.run.epochs - 1));
  }
  if (!args.png.empty() && !args.png.ends_with(".png")) throw PipelineError("error: --png writes a PNG: give a name that ends in .png");
  return past;
}

/// One sample of a run.
class Replay {
 public:
  explicit Replay(const ReplayArgs& args)
      : args_(args),
        past_(open_run(args)),
        nodes_(choose_nodes(past_.pipeline, args.node)),
        again_(past_, {.threads = args.threads, .nodes = nodes_, .tap = [this](const Tapped& tapped) { collector_.see(tapped); }}),
        epoch_(static_cast<uint64_t>(args.epoch)),
        places_(again_, past_, epoch_),
        sample_(find_sample(again_.source(), args.sample)),
        use_(places_.uses(sample_)[0]) {
    const RunInfo& run = again_.engine().info();
    step_ = args.epoch * run.steps_per_epoch + static_cast<int64_t>(use_.position) / run.batch + 1 - run.epoch_shift;
  }

  void run() {
    repeat();
    place();
    result_["nodes"] = to_json(again_.pipeline(), collector_.seen());
    if (!error_.empty()) result_["error"] = error_;
    ledger();
  }
  const ordered_json& facts() const { return result_; }
  int status() const { return status_; }
  int64_t group_size() const { return again_.grouping().group; }
  io::PixelBuffer picture() const { return draw(again_.pipeline(), collector_.seen()); }

 private:
  /// Per node of what is repeated: whether it is shown.
  std::vector<bool> shown() const {
    std::vector<bool> out;
    for (const CheckedNode& node : again_.pipeline().nodes) out.push_back(std::find(nodes_.begin(), nodes_.end(), node.name) != nodes_.end());
    mark_ancestors(again_.pipeline(), out);
    return out;
  }

  /// Puts the sample itself into its place, even if it failed there; then, unless it fails again, the sample that stood there
  /// in the run.
  void repeat() {
    collector_.watch(again_, shown(), sample_, use_.position);
    Replaced replaced = past_.replaced;
    use_.attempt == 0 ? void(replaced.erase({epoch_, use_.position})) : void(replaced[{epoch_, use_.position}] = use_.attempt);
    try {
      found_ = again_.ledgers(step_, step_, replaced).at(step_);
    } catch (const RunError& error) {
      broken_ = error.what();
    }
    collector_.look_away();
    const auto failed = std::find_if(again_.failed().begin(), again_.failed().end(),
                                     [&](const BadSample& bad) { return bad.position == use_.position && bad.sample == sample_; });
    if (failed != again_.failed().end()) return fails(failed->error);
    if (!use_.failed()) return;
    collector_.drop_groups();
    mended_ = true;
    if (broken_.empty()) found_ = again_.ledgers(step_, step_).at(step_);
  }

  void fails(const std::string& error) {
    collector_.drop_groups();
    error_ = error + "\n  sample " + std::to_string(sample_) + " of " + again_.source().name + ": " + again_.source().node->key(sample_) +
             "\n  epoch " + std::to_string(epoch_) + ", step " + std::to_string(step_);
    // A failure after the nodes asked for is not an error of theirs.
    const std::vector<bool> asked = shown();
    for (size_t n = 0; n < asked.size(); ++n) {
      if (asked[n] && error.starts_with(again_.pipeline().nodes[n].name + ": ")) status_ = exit_failed;
    }
  }

  void place() {
    const RunInfo& run = again_.engine().info();
    const auto batch = static_cast<uint64_t>(run.batch), group = static_cast<uint64_t>(again_.grouping().group);
    result_ = {{"run", args_.run}};
    result_.update(named(again_, sample_));
    result_.update(ordered_json{{"source", again_.source().name},
                                {"epoch", epoch_},
                                {"position", use_.position},
                                {"step", step_},
                                {"group", use_.position % batch / group},
                                {"groups", batch / group},
                                {"place", collector_.in_group()}});
    if (use_.attempt > 0) result_["instead_of"] = named(again_, places_.at(use_.position, 0));
    if (use_.failed()) {
      result_["replaced_by"] = named(again_, places_.at(use_.position, use_.stood));
      result_["fails_now"] = !mended_;
    }
  }

  void ledger() {
    ordered_json out = {{"step", step_}, {"found", nullptr}, {"expected", nullptr}, {"equal", nullptr}};
    if (broken_.empty()) out["found"] = hex(found_);
    const auto reported = past_.steps.find(step_);
    if (reported == past_.steps.end()) {
      out["note"] = past_.not_reported(step_);
    } else {
      out["expected"] = hex(reported->second.ledger);
    }
    if (!broken_.empty()) {
      out["note"] = "the step can't be repeated: " + broken_;
      status_ = exit_failed;
    } else if (reported != past_.steps.end()) {
      const bool equal = found_ == reported->second.ledger;
      out["equal"] = equal;
      if (!equal) out["note"] = again_.reason(step_), status_ = exit_failed;
    }
    result_["ledger"] = std::move(out);
  }

  ReplayArgs args_;
  PastRun past_;
  std::vector<std::string> nodes_;
  SampleCollector collector_;
  RepeatedRun again_;
  uint64_t epoch_;
  Places places_;
  uint64_t sample_;
  Use use_;
  int64_t step_ = 0;
  uint64_t found_ = 0;
  std::string broken_, error_;  // why the step or the sample could not be completed
  bool mended_ = false;
  ordered_json result_;
  int status_ = 0;
};

}  // namespace

Replayed replay(const ReplayArgs& args) {
  const auto replay = std::make_shared<Replay>(args);
  replay->run();
  return {
      .facts = replay->facts(), .status = replay->status(), .group_size = replay->group_size(), .picture = [replay] { return replay->picture(); }};
}

}  // namespace flowrun::app
