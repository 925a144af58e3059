// Lines for the people who wait for a piece of work.
#pragma once

#include <functional>
#include <string>

namespace flowrun::app {

/// Gets one line at a time, without its end; any thread.
using Say = std::function<void(const std::string& line)>;

inline void say_nothing(const std::string& /*line*/) {}

}  // namespace flowrun::app
