#pragma once
namespace flowrun {
inline constexpr const char* version = "0.1.0";
}
