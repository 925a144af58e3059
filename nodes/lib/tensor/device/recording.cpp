#include "nodes/lib/tensor/device/recording.h"

#include <ATen/autocast_mode.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/_foreach_norm.h>
#include <ATen/ops/_foreach_sub.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/zeros_like.h>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <utility>

#include "nodes/lib/tensor/device/side_stream.h"
#include "nodes/lib/tensor/device/weight_casts.h"

namespace flowrun::recording {
namespace {

/// The nodes' calls while work is recorded.
struct Session {
  std::vector<std::function<void()>> after_play, on_failure;
  std::vector<Tensor> results;
  bool keeps = false;                             // whether old values of changed tensors are kept
  std::vector<std::pair<Tensor, Tensor>> before;  // place, values
  std::string trouble;                            // why a recording can't be compared
};

thread_local Session* session = nullptr;

class InSession {
 public:
  explicit InSession(Session& now) { session = &now; }
  ~InSession() { session = nullptr; }
  InSession(const InSession&) = delete;
  InSession& operator=(const InSession&) = delete;
};

std::map<std::string, Recorder*>& recorders() {
  static std::map<std::string, Recorder*> all;
  return all;
}

class WithHost final : public Recording {
 public:
  WithHost(std::unique_ptr<Recording> device, std::vector<std::function<void()>> host) : device_(std::move(device)), host_(std::move(host)) {}
  void play() override {
    refresh_casts();
    device_->play();
    for (const auto& part : host_) part();
  }

 private:
  std::unique_ptr<Recording> device_;
  std::vector<std::function<void()>> host_;
};

std::vector<Tensor> copies(const std::vector<Tensor>& tensors) {
  std::vector<Tensor> out;
  for (const Tensor& tensor : tensors) out.push_back(tensor.detach().clone());
  return out;
}

/// Root of the summed squares of the difference over that of `a`; infinite if there is a NaN. The host waits for the device
/// once.
double difference(const std::vector<Tensor>& a, const std::vector<Tensor>& b) {
  const at::NoGradGuard no_grad;
  if (a.empty()) return 0;
  const auto size = [](const std::vector<Tensor>& tensors) { return at::stack(at::_foreach_norm(tensors, 2)).to(at::kDouble).norm(); };
  const Tensor both = at::stack({size(at::_foreach_sub(a, b)), size(a)}).to(at::kCPU);
  const double apart = both[0].item<double>(), whole = both[1].item<double>();
  if (apart == 0) return 0;
  return whole > 0 && std::isfinite(apart) ? apart / whole : INFINITY;
}

void restore(const std::vector<std::pair<Tensor, Tensor>>& before) {
  const at::NoGradGuard no_grad;
  for (const auto& [place, values] : before) place.copy_(values);
}

/// Sums that a GPU adds in any order differ in their last bits between runs; bf16 has 8 bits, and attention's backward pass
/// adds in bf16.
double tolerance(at::Device device) { return at::autocast::is_autocast_enabled(device.type()) ? 1e-2 : 2e-3; }

std::string refusal(const std::vector<Tensor>& submitted, const std::vector<Tensor>& played) {
  if (submitted.size() != played.size()) return "the recording gave other results than the work it was made of";
  const double apart = difference(submitted, played);
  if (apart == 0 || apart <= tolerance(submitted[0].device())) return "";
  char text[160];
  std::snprintf(text, sizeof text, "gradients that were played differ by %.2g of their size from those that were submitted", apart);
  return text;
}

/// FLOWRUN_TEST_FAIL_CAPTURE=N makes the first N recordings fail, as a careless node would: the host reads a value.
void spoil(const Session& recorded) {
  static int left = [] {
    const char* const value = std::getenv("FLOWRUN_TEST_FAIL_CAPTURE");
    return value == nullptr ? 0 : std::atoi(value);
  }();
  if (left <= 0 || recorded.results.empty()) return;
  --left;
  recorded.results[0].sum().item();
}

thread_local int64_t writing = 0;  // the number of the recording that is being written

class Writing {
 public:
  Writing() { writing = ++last_; }
  ~Writing() { writing = 0; }
  Writing(const Writing&) = delete;
  Writing& operator=(const Writing&) = delete;

 private:
  static thread_local int64_t last_;
};
thread_local int64_t Writing::last_ = 0;

/// Throws on failure.
std::unique_ptr<Recording> write_down(Recorder& recorder, const std::function<void()>& work) {
  std::unique_ptr<Recording> recording;
  refresh_casts();
  SideStream::forget();
  recorder.begin();
  const Writing now;
  try {
    work();
    spoil(*session);
  } catch (...) {
    try {
      recording = recorder.end();
    } catch (const std::exception&) {  // the first failure is the one to report
    }
    SideStream::forget();
    throw;
  }
  SideStream::forget();  // work that waits for its events is recorded, too
  return recorder.end();
}

}  // namespace

std::string shape(const Tensor& x) {
  if (!x.defined()) return "none";
  std::string out = at::toString(x.scalar_type());
  for (const int64_t size : x.sizes()) out += " " + std::to_string(size);
  return out;
}

void refill(Tensor& to, const Tensor& from) {
  const at::NoGradGuard no_grad;
  if (!from.defined()) return to.reset();
  if (!to.defined()) to = at::empty_like(from, at::MemoryFormat::Contiguous);
  to.copy_(from, /*non_blocking=*/true);
}

void after_play(std::function<void()> host) {
  if (session != nullptr) session->after_play.push_back(std::move(host));
}

void changes(const std::vector<Tensor>& tensors) {
  if (session == nullptr || !session->keeps) return;
  try {
    const std::vector<Tensor> values = copies(tensors);
    for (size_t i = 0; i < tensors.size(); ++i) session->before.emplace_back(tensors[i], values[i]);
  } catch (const std::exception& error) {  // no memory for them; the work itself goes on
    session->trouble = error.what();
  }
}

void starts_at_zero(const std::vector<Tensor>& tensors) {
  if (session == nullptr || !session->keeps) return;
  for (const Tensor& tensor : tensors) session->before.emplace_back(tensor, at::zeros_like(tensor));
}

void result(const std::vector<Tensor>& tensors) {
  if (session != nullptr) session->results.insert(session->results.end(), tensors.begin(), tensors.end());
}

void on_failure(std::function<void()> host) {
  if (session != nullptr) session->on_failure.push_back(std::move(host));
}

int64_t number() { return writing; }

void register_recorder(const std::string& device, Recorder& recorder) { recorders()[device] = &recorder; }

Recorder* recorder(const std::string& device) {
  const auto found = recorders().find(device);
  return found == recorders().end() ? nullptr : found->second;
}

namespace {

/// A submitted pass: its results, its time, and the values to undo it.
struct Submitted {
  Session session{.keeps = true};
  std::vector<Tensor> results;
  PassTime time;
};

void submit(Recorder& recorder, const std::function<void()>& work, Submitted& out) {
  const InSession here(out.session);
  recorder.begin_pass();
  work();
  out.time = recorder.end_pass();
  try {
    out.results = copies(out.session.results);
  } catch (const std::exception& error) {
    out.session.trouble = error.what();
  }
}

// If the device takes longer than the host, the host is ahead anyway, and a recording only costs memory.
// FLOWRUN_TEST_RECORD_ALWAYS records nevertheless, for tests of recordings.
constexpr double host_is_the_limit = 0.7;

std::string no_gain(const PassTime& time) {
  if (time.device <= 0 || time.host > host_is_the_limit * time.device) return "";
  if (std::getenv("FLOWRUN_TEST_RECORD_ALWAYS") != nullptr) return "";
  char text[160];
  std::snprintf(text, sizeof text, "the device is the limit: a group takes it %.1f ms, and the host %.1f ms to submit", 1e3 * time.device,
                1e3 * time.host);
  return text;
}

}  // namespace

Recorded record(Recorder& recorder, const std::function<void()>& work, bool compare) {
  Submitted plain;
  compare = compare || recorder.works_meanwhile();
  if (compare) {
    submit(recorder, work, plain);
    if (!plain.session.trouble.empty()) return {nullptr, "a recording can't be compared: " + plain.session.trouble};
    if (std::string why = no_gain(plain.time); !why.empty()) return {nullptr, std::move(why), /*gains_nothing=*/true};
    restore(plain.session.before);
  }
  Session recorded;
  Recorded out;
  try {
    const InSession here(recorded);
    std::unique_ptr<Recording> device = write_down(recorder, work);
    out.recording = std::make_unique<WithHost>(std::move(device), std::move(recorded.after_play));
    if (recorder.works_meanwhile()) restore(plain.session.before);
    out.recording->play();
    if (compare) out.why_not = refusal(plain.results, recorded.results);
  } catch (const std::exception& error) {
    out.why_not = std::string("recording failed: ") + error.what();
  }
  if (out.why_not.empty()) return out;
  out.recording.reset();
  for (const auto& part : recorded.on_failure) part();
  restore(plain.session.before);
  work();
  return out;
}

}  // namespace flowrun::recording
