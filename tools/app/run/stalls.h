// When a standstill of a run is reported.
#pragma once

namespace flowrun::app {

/// Reports each standstill once: when nothing has moved for `after` seconds; 0: never. One thread.
class Stalls {
 public:
  explicit Stalls(double after) : after_(after) {}

  /// Whether to report now. Both times in seconds of the same clock; `moved`: of the last progress.
  bool due(double now, double moved) {
    if (after_ <= 0 || now - moved < after_ || moved == reported_) return false;
    reported_ = moved;
    return true;
  }

 private:
  double after_;
  double reported_ = -1;  // the progress after which the last standstill was reported
};

}  // namespace flowrun::app
