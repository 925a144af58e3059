// What a run asks of the program that it runs in.
#pragma once

#include <atomic>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>

#include "tools/app/run/progress.h"

namespace flowrun::io {
class RunDirectory;
}

namespace flowrun::app {

/// Lives while a run opens, which can take minutes, and may wait for other ranks: a program may end itself then, and remove
/// what was made of the run's directory. This one does nothing.
class Opening {
 public:
  Opening() = default;
  virtual ~Opening() = default;
  Opening(const Opening&) = delete;
  Opening& operator=(const Opening&) = delete;

  /// `make` makes the directory, or returns null. The directory lives until forget() or end().
  virtual void made(const std::function<const io::RunDirectory*()>& make) { make(); }
  virtual void forget() {}
  /// The run is open.
  virtual void end() {}
};

/// This one shows nothing and never stops a run. Any thread.
class Caller {
 public:
  Caller() = default;
  virtual ~Caller() = default;
  Caller(const Caller&) = delete;
  Caller& operator=(const Caller&) = delete;

  /// A line for people, besides those of the log.
  virtual void say(const std::string& /*line*/) {}
  /// `name`: of one run among several in this process; empty: the only one.
  virtual std::unique_ptr<Progress> progress(bool /*quiet*/, const std::string& /*name*/) { return std::make_unique<Progress>(); }
  /// Called first. `alone`: no other run goes on in this process.
  virtual std::unique_ptr<Opening> opening(bool /*alone*/) { return std::make_unique<Opening>(); }
  /// The folder that the run is about to write to.
  virtual void writes_to(const std::filesystem::path& /*run*/) {}
  /// True: the run ends after its step. Null: never.
  virtual const std::atomic<bool>* stop() { return nullptr; }
  /// Makes the page of a run that has ended, and doesn't throw; empty: there is none. Where it takes too long, the run ends and it goes on.
  virtual std::function<void(const std::filesystem::path& run)> report() { return {}; }
};

}  // namespace flowrun::app
