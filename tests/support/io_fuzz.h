#pragma once

#include <cstdint>
#include <gtest/gtest.h>
#include <random>
#include <string>
#include <vector>

#include "io/error.h"

namespace flowrun::io::test {

// Runs PARSE on COUNT mutations of SEED, each drawn from a generator of its own; counts the accepted ones. Any exception
// but Error is a failure.
template <class Mutate, class Parse>
int count_taken(const std::vector<uint8_t>& seed, uint32_t stream, int count, Mutate&& mutate, Parse&& parse) {
  int taken = 0;
  for (int i = 0; i < count; ++i) {
    std::mt19937 random(stream * 1'000'003 + static_cast<uint32_t>(i));
    try {
      parse(mutate(seed, random));
      ++taken;
    } catch (const Error& error) {
      EXPECT_GT(std::string(error.what()).size(), 10u);
    } catch (const std::exception& error) {
      ADD_FAILURE() << "mutation " << i << ": " << error.what();
    }
  }
  EXPECT_LT(taken, count) << "nothing was ever refused";
  return taken;
}

}  // namespace flowrun::io::test
