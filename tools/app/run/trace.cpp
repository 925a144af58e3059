#include "tools/app/run/trace.h"

#include <cmath>
#include <map>
#include <nlohmann/json.hpp>
#include <queue>

#include "graph/text/json_text.h"

namespace flowrun::app {
namespace {

using nlohmann::ordered_json;
using Event = TraceTrack::Event;

std::string quoted(const std::string& text) { return json_text(ordered_json(text)); }

/// The events of all tracks in the order of their beginnings.
class Merge {
 public:
  explicit Merge(const std::vector<TraceTrack>& tracks) : tracks_(tracks), next_(tracks.size()) {
    for (size_t t = 0; t < tracks.size(); ++t) push(t);
  }
  /// Null at the end.
  const Event* next(size_t& track) {
    if (queue_.empty()) return nullptr;
    track = queue_.top().second;
    queue_.pop();
    const Event* event = &tracks_[track].events[next_[track]++];
    push(track);
    return event;
  }

 private:
  using Head = std::pair<uint64_t, size_t>;
  void push(size_t track) {
    if (next_[track] < tracks_[track].events.size()) queue_.emplace(tracks_[track].events[next_[track]].begin, track);
  }
  const std::vector<TraceTrack>& tracks_;
  std::vector<size_t> next_;
  std::priority_queue<Head, std::vector<Head>, std::greater<>> queue_;
};

/// The losses of metrics.jsonl, asked for in the order of steps.
class Losses {
 public:
  explicit Losses(const std::filesystem::path& metrics) : lines_(metrics) {}

  std::optional<double> at(int64_t step) {
    while (step_ < step) {
      std::string line;
      if (!std::getline(lines_, line)) return std::nullopt;
      const ordered_json entry = json_of(line);
      if (!entry.is_object() || !entry.contains("step") || !entry["step"].is_number_integer()) continue;
      step_ = entry["step"];
      loss_.reset();
      if (const auto loss = entry.find("loss"); loss != entry.end() && loss->is_number()) loss_ = loss->get<double>();
    }
    return step_ == step ? loss_ : std::nullopt;
  }

 private:
  std::ifstream lines_;
  int64_t step_ = -1;
  std::optional<double> loss_;
};

/// Writes events one by one; holds only groups and samples in flight at the current moment of the trace.
class Writer {
 public:
  Writer(std::ostream& out, const Engine& engine, const CheckedPipeline& pipeline, const std::filesystem::path& metrics)
      : out_(out), stats_(engine.stats()), segments_(engine.traced_segments()), pipeline_(pipeline), losses_(metrics) {
    for (const CheckedNode& node : pipeline.nodes) names_.push_back(quoted(node.name));
    unit_ = stats_.seconds_per_tick() * 1e6;
  }

  void write(const std::string& title) {
    out_ << "{\"displayTimeUnit\":\"ms\",\"traceEvents\":[\n";
    name_tracks(title);
    for (const TracedSegment& traced : segments_) segment_slice(traced);
    Merge merge(stats_.tracks());
    size_t track = 0;
    while (const Event* event = merge.next(track)) {
      while (current_ + 1 < segments_.size() && segments_[current_ + 1].begin <= event->begin) enter_segment(current_ + 1);
      call(*event, static_cast<int>(track) + 1);
    }
    flush_all();
    out_ << "\n]}\n";
  }

 private:
  /// A call that a flow passes: where an arrow may begin or end.
  struct Point {
    int tid;
    double at;  // in the middle of the call
    bool begun = false;
  };
  struct Flow {
    const char* name;
    std::map<int64_t, Point> points;  // by index in the segment: the last call seen
    int64_t first_id = 0;             // of the segment's first
    int64_t last_id = 0;
  };
  enum { of_sample, of_group, of_step };

  double microseconds(uint64_t tick) const { return static_cast<double>(tick - stats_.first_tick()) * unit_; }
  const TracedSegment* segment_of(const Event& event) const {
    return segments_.empty() || event.begin < segments_[current_].begin || event.begin > segments_[current_].end ? nullptr : &segments_[current_];
  }
  const std::string& name(int node) const { return names_[static_cast<size_t>(node)]; }

  std::ostream& next() {
    if (!std::exchange(first_, false)) out_ << ",\n";
    return out_;
  }

  void meta(const char* what, int tid, const std::string& args) {
    next() << "{\"ph\":\"M\",\"name\":\"" << what << "\",\"pid\":1,\"tid\":" << tid << ",\"args\":{" << args << "}}";
  }

  void name_tracks(const std::string& title) {
    meta("process_name", 0, "\"name\":" + quoted(title));
    meta("thread_name", 0, "\"name\":\"segments\"");
    const int threads = static_cast<int>(stats_.tracks().size());
    for (int t = 1; t <= threads; ++t) {
      const std::string text = threads == 1 ? "all" : t == threads ? "device" : "data " + std::to_string(t);
      meta("thread_name", t, "\"name\":\"" + text + "\"");
      meta("thread_sort_index", t, "\"sort_index\":" + std::to_string(t == threads ? 1 : t + 1));  // the device on top
    }
  }

  void slice(const std::string& json_name, const char* category, int tid, uint64_t begin, uint64_t end, const std::string& args) {
    char times[96];
    const double from = microseconds(begin);
    std::snprintf(times, sizeof times, ",\"ts\":%.3f,\"dur\":%.3f", from, std::max(0.0, microseconds(end) - from));
    next() << "{\"ph\":\"X\",\"name\":" << json_name << ",\"cat\":\"" << category << "\",\"pid\":1,\"tid\":" << tid << times << ",\"args\":{" << args
           << "}}";
  }

  void counter(const char* name, double at, const std::string& args) {
    char time[32];
    std::snprintf(time, sizeof time, "%.3f", at);
    next() << "{\"ph\":\"C\",\"name\":\"" << name << "\",\"pid\":1,\"tid\":0,\"ts\":" << time << ",\"args\":{" << args << "}}";
  }

  void segment_slice(const TracedSegment& traced) {
    const Segment& s = traced.segment;
    const std::string& source = pipeline_.nodes[static_cast<size_t>(s.stream->source)].name;
    const std::string text = s.stream->training ? "training on " + source : "pass over " + source;
    std::string args = "\"images\":" + std::to_string(s.total_samples());
    if (s.stream->training) {
      args += ",\"first_step\":" + std::to_string(s.first_step) + ",\"last_step\":" + std::to_string(s.first_step + s.steps - 1);
    }
    slice(quoted(text), "segment", 0, traced.begin, traced.end, args);
  }

  void enter_segment(size_t segment) {
    flush_all();
    current_ = segment;
    for (Flow& flow : flows_) flow.first_id = flow.last_id + 1;
    begun_ = filled_ = started_ = delivered_ = 0;
    folded_.clear();
    fold_node_ = -1;
    last_step_ = -1;
  }

  /// One call of a node, or a fold: a call of a node of the level above on a record.
  void call(const Event& event, int tid) {
    const CheckedNode& node = pipeline_.nodes[static_cast<size_t>(event.node)];
    const bool fold = event.level != step_level && (node.scope() >= Scope::step || (event.level == sample_level && node.scope() >= Scope::batch));
    const TracedSegment* traced = segment_of(event);
    const std::string category = std::string(scope_name(node.scope())) + (fold ? ",fold" : "");
    slice(name(event.node), category.c_str(), tid, event.begin, event.end, args_of(event, node, traced, fold));
    if (traced == nullptr) return;
    const Segment& segment = traced->segment;
    const Point point{tid, (microseconds(event.begin) + microseconds(event.end)) / 2};
    if (event.level == sample_level) {
      pass(of_sample, event.index, point);
      const int64_t group = event.index / segment.stream->grouping.group;
      // The group's flow begins where its last sample arrives.
      if (fold) arrive(group, point);
      sample_counters(segment, event, group, fold);
    } else if (event.level == group_level) {
      const int64_t size = segment.stream->grouping.group;
      // A thread's clock runs on from its last call: only the device's calls are surely behind all samples of their group.
      if (node.scope() >= Scope::device) flush(of_sample, event.index * size, (event.index + 1) * size);
      if (fold && !segment.stream->training) flush(of_group, 0, event.index);  // deliveries are in order
      pass(of_group, event.index, point);
      group_counters(event, node.scope() >= Scope::device, fold);
    } else {
      step(*traced, event, point);
    }
  }

  std::string args_of(const Event& event, const CheckedNode& node, const TracedSegment* traced, bool fold) const {
    std::string args;
    const auto add = [&](const char* key, const std::string& value) { args += std::string(args.empty() ? "\"" : ",\"") + key + "\":" + value; };
    if (fold) add("fold", "true");
    if (event.level == step_level) add("step", std::to_string(event.index));
    if (traced == nullptr || event.level == step_level) return args;
    const Segment& segment = traced->segment;
    const int64_t size = segment.stream->grouping.group;
    const int64_t group = event.level == sample_level ? event.index / size : event.index;
    const Place place = segment.place(group);
    if (event.level == sample_level) {
      add("sample", std::to_string(event.sample));
      add("position", std::to_string(place.position + static_cast<uint64_t>(event.index % size)));
      if (node.scope() == Scope::source) add("key", quoted(node.node->key(event.sample)));
    }
    add("group", std::to_string(group % segment.groups));
    if (segment.stream->training) {
      add("step", std::to_string(place.step));
      add("epoch", std::to_string(place.epoch));
    }
    return args;
  }

  void arrow(const Flow& flow, char phase, int64_t index, const Point& point) {
    char text[160];
    const int64_t id = flow.first_id + index;
    std::snprintf(text, sizeof text, R"({"ph":"%c","name":"%s","cat":"flow","id":%lld,"pid":1,"tid":%d,"ts":%.3f%s})", phase, flow.name,
                  static_cast<long long>(id), point.tid, point.at, phase == 'f' ? ",\"bp\":\"e\"" : "");
    next() << text;
  }

  void arrive(int64_t group, const Point& point) {
    const auto [found, fresh] = flows_[of_group].points.try_emplace(group, point);
    if (!fresh && !found->second.begun) found->second = point;
  }

  /// Continues the flow to this call. Its first call is written when there is a second, so every flow has an end.
  void pass(int which, int64_t index, Point point) {
    Flow& flow = flows_[which];
    const auto [found, fresh] = flow.points.try_emplace(index, point);
    if (fresh) return;
    Point& before = found->second;
    if (point.at < before.at) return;  // two threads' clocks: an arrow never leads back
    arrow(flow, before.begun ? 't' : 's', index, before);
    point.begun = true;
    before = point;
  }

  /// The flows of [from, to) end with the last call seen of them.
  void flush(int which, int64_t from, int64_t to) {
    Flow& flow = flows_[which];
    const auto first = flow.points.lower_bound(from), last = flow.points.lower_bound(to);
    for (auto i = first; i != last; ++i) {
      if (i->second.begun) arrow(flow, 'f', i->first, i->second);
      flow.last_id = std::max(flow.last_id, flow.first_id + i->first);
    }
    flow.points.erase(first, last);
  }

  void flush_all() {
    for (const int which : {of_sample, of_group, of_step}) flush(which, INT64_MIN, INT64_MAX);
  }

  void step(const TracedSegment& traced, const Event& event, const Point& point) {
    const Segment& segment = traced.segment;
    if (event.index != last_step_) {
      const int64_t first = (event.index - segment.first_step) * segment.groups;
      auto& groups = flows_[of_group].points;
      for (auto i = groups.lower_bound(first); i != groups.end() && i->first < first + segment.groups; ++i) {
        arrow(flows_[of_group], i->second.begun ? 't' : 's', i->first, i->second);
        i->second = {point.tid, point.at, true};
      }
      flush(of_sample, INT64_MIN, (first + segment.groups) * segment.stream->grouping.group);
      flush(of_group, INT64_MIN, first + segment.groups);
      flush(of_step, INT64_MIN, INT64_MAX);
      step_counters(traced, event);
    }
    pass(of_step, event.index - segment.first_step, point);
  }

  void step_counters(const TracedSegment& traced, const Event& event) {
    const uint64_t since = last_step_ < 0 ? traced.begin : last_step_at_;
    const double seconds = (microseconds(event.begin) - microseconds(since)) * 1e-6;
    const double images = static_cast<double>(traced.segment.groups * traced.segment.stream->grouping.group);
    number("images per second", event.begin, seconds > 0 ? images / seconds : 0);
    if (const auto loss = losses_.at(event.index)) number("loss", event.begin, *loss);
    last_step_ = event.index;
    last_step_at_ = event.begin;
    deliver(event, (event.index - traced.segment.first_step + 1) * traced.segment.groups);
  }

  void number(const char* name, uint64_t at, double value) {
    char text[48];
    std::snprintf(text, sizeof text, "\"value\":%.6g", value);
    if (std::isfinite(value)) counter(name, microseconds(at), text);
  }

  // Groups are counted by how far the furthest of them has come: they begin and end in order.
  void sample_counters(const Segment& segment, const Event& event, int64_t group, bool fold) {
    if (group >= begun_) {
      begun_ = group + 1;
      groups_counter(event);
    }
    if (!fold) return;
    if (fold_node_ < 0) fold_node_ = event.node;
    if (event.node == fold_node_ && ++folded_[group] == segment.images(group)) {
      ++filled_;
      folded_.erase(group);
      groups_counter(event);
    }
  }

  void group_counters(const Event& event, bool device, bool fold) {
    if (device && event.index >= started_) {
      started_ = event.index + 1;
      groups_counter(event);
    }
    if (fold) deliver(event, event.index + 1);
  }

  void deliver(const Event& event, int64_t groups) {
    if (groups <= delivered_) return;
    delivered_ = groups;
    groups_counter(event);
  }

  void groups_counter(const Event& event) {
    started_ = std::max(started_, delivered_), filled_ = std::max(filled_, started_), begun_ = std::max(begun_, filled_);
    counter("groups", microseconds(event.begin),
            "\"filling\":" + std::to_string(begun_ - filled_) + ",\"full\":" + std::to_string(filled_ - started_) +
                ",\"on the device\":" + std::to_string(started_ - delivered_));
  }

  std::ostream& out_;
  const Stats& stats_;
  const std::vector<TracedSegment>& segments_;
  const CheckedPipeline& pipeline_;
  Losses losses_;
  std::vector<std::string> names_;  // as JSON
  double unit_ = 0;                 // microseconds to a tick
  bool first_ = true;
  size_t current_ = 0;  // segment
  Flow flows_[3] = {{"sample", {}, 1, 0}, {"group", {}, 1, 0}, {"step", {}, 1, 0}};
  int64_t begun_ = 0, filled_ = 0, started_ = 0, delivered_ = 0;
  std::map<int64_t, int64_t> folded_;  // samples, of the groups that fill
  int fold_node_ = -1;
  int64_t last_step_ = -1;
  uint64_t last_step_at_ = 0;
};

}  // namespace

TraceFile::TraceFile(std::filesystem::path path) : path_(std::move(path)), file_(path_, std::ios::app) {
  if (!file_) throw PipelineError("error: cannot write the trace " + path_.string() + ": name a file in an existing folder");
}

void TraceFile::write(const Engine& engine, const CheckedPipeline& pipeline, const std::filesystem::path& metrics) {
  size_t calls = 0, lost = 0;
  for (const TraceTrack& track : engine.stats().tracks()) calls += track.events.size(), lost += track.lost;
  file_.close();
  file_.open(path_, std::ios::trunc);  // only now: an older file stays when a run doesn't begin
  Writer(file_, engine, pipeline, metrics).write("flowrun " + engine.info().directory);
  file_.close();
  if (!file_) return log_warning("the trace " + path_.string() + " is incomplete: no space left?");
  const std::string left = lost == 0 ? "" : "; " + std::to_string(lost) + " later ones are not in it: raise --trace-calls";
  log_info("trace " + path_.string() + ": " + std::to_string(calls) + " calls" + left + "; open it at ui.perfetto.dev");
}

}  // namespace flowrun::app
