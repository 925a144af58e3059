#include "nodes/device/recording.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty_like.h>
#include <cmath>
#include <cstdio>
#include <map>
#include <utility>

#include "nodes/device/side_stream.h"

namespace flowrun::recording {
namespace {

/// What nodes say while work is recorded.
struct Session {
  std::vector<std::function<void()>> after_play, on_failure;
  std::vector<Tensor> results;
  bool keeps = false;                             // what the work changes, as it was
  std::vector<std::pair<Tensor, Tensor>> before;  // place, values
  std::string trouble;                            // why they are not kept
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

/// Root of the summed squares of the difference over that of `a`; infinite where something is no number.
double difference(const std::vector<Tensor>& a, const std::vector<Tensor>& b) {
  const at::NoGradGuard no_grad;
  double apart = 0, size = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    const Tensor x = a[i].to(at::kDouble), y = b[i].to(at::kDouble);
    apart += x.sub(y).square().sum().item<double>();
    size += x.square().sum().item<double>();
  }
  if (apart == 0) return 0;
  return size > 0 && std::isfinite(apart) ? std::sqrt(apart / size) : INFINITY;
}

void restore(const std::vector<std::pair<Tensor, Tensor>>& before) {
  const at::NoGradGuard no_grad;
  for (const auto& [place, values] : before) place.copy_(values);
}

// Sums that a GPU takes in any order differ in their last bits from one time to the next; bf16 has 8 of them.
constexpr double tolerance = 2e-3;

std::string refusal(const std::vector<Tensor>& submitted, const std::vector<Tensor>& played) {
  if (submitted.size() != played.size()) return "the recorded work had other results than the work it was made of";
  const double apart = difference(submitted, played);
  if (apart <= tolerance) return "";
  char text[160];
  std::snprintf(text, sizeof text, "gradients that were played differ by %.2g of their size from those that were submitted", apart);
  return text;
}

/// Throws what goes wrong.
std::unique_ptr<Recording> write_down(Recorder& recorder, const std::function<void()>& work) {
  std::unique_ptr<Recording> recording;
  SideStream::forget();
  recorder.begin();
  try {
    work();
  } catch (...) {
    try {
      recording = recorder.end();
    } catch (const std::exception&) {  // the first failure is the one to tell of
    }
    SideStream::forget();
    throw;
  }
  SideStream::forget();  // what waits for its events is recorded, too
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

void result(const std::vector<Tensor>& tensors) {
  if (session != nullptr) session->results.insert(session->results.end(), tensors.begin(), tensors.end());
}

void on_failure(std::function<void()> host) {
  if (session != nullptr) session->on_failure.push_back(std::move(host));
}

void register_recorder(const std::string& device, Recorder& recorder) { recorders()[device] = &recorder; }

Recorder* recorder(const std::string& device) {
  const auto found = recorders().find(device);
  return found == recorders().end() ? nullptr : found->second;
}

Recorded record(Recorder& recorder, const std::function<void()>& work) {
  Session plain{.keeps = true};
  std::vector<Tensor> submitted;
  {
    const InSession here(plain);
    work();
    try {
      submitted = copies(plain.results);
    } catch (const std::exception& error) {
      plain.trouble = error.what();
    }
  }
  if (!plain.trouble.empty()) return {nullptr, "a recording can't be compared: " + plain.trouble};
  restore(plain.before);
  Session recorded;
  Recorded out;
  try {
    const InSession here(recorded);
    std::unique_ptr<Recording> device = write_down(recorder, work);
    out.recording = std::make_unique<WithHost>(std::move(device), std::move(recorded.after_play));
    if (recorder.works_meanwhile()) restore(plain.before);
    out.recording->play();
    out.why_not = refusal(submitted, recorded.results);
  } catch (const std::exception& error) {
    out.why_not = std::string("recording failed: ") + error.what();
  }
  if (out.why_not.empty()) return out;
  out.recording.reset();
  for (const auto& part : recorded.on_failure) part();
  restore(plain.before);
  work();
  return out;
}

}  // namespace flowrun::recording
