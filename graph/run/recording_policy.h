// Decides which shapes of groups are recorded, and which recording makes room for another.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <unordered_map>

namespace flowrun {

/// Decides only by how often a shape was seen: the same shapes in the same order give the same decisions. Keeps no
/// recordings itself. One thread.
class RecordingPolicy {
 public:
  enum class Choice { submit, record, play };
  struct Decision {
    Choice choice = Choice::submit;
    std::string forget;  // with `record`: the shape whose recording makes room; empty: there is room
  };

  /// `capacity`: how many recordings are kept.
  explicit RecordingPolicy(size_t capacity) : capacity_(capacity) {}

  /// A group of this shape is next. The second group of a shape is recorded, later ones are played. If there is no room, a
  /// shape replaces the rarest one, if that is rarer than itself.
  Decision next(const std::string& shape);
  /// Whether the recording made now is compared with submitted work: the first three, and then every sixteenth.
  bool compares() const { return made_ < 3 || made_ % 16 == 0; }
  /// The end of an attempt to record. A refused shape is submitted from now on.
  void recorded(const std::string& shape);
  void refused(const std::string& shape);
  /// A single shape may fail because of an unlucky sum; after three refused shapes, no more are recorded. Existing recordings
  /// are still played.
  bool stopped() const { return refusals_ >= 3; }

 private:
  struct Shape {
    int64_t sights = 0;
    bool recorded = false, refused = false;
  };
  void age();

  size_t capacity_;
  std::unordered_map<std::string, Shape> shapes_;
  size_t kept_ = 0;
  int64_t groups_ = 0, made_ = 0;
  int refusals_ = 0;
};

}  // namespace flowrun
