// The mask nodes as a pipeline runs them: parameters, errors, ranks and the ledger.
#include <gmock/gmock.h>

#include "nodes/lib/host/types/host_types.h"
#include "tests/support/run_node.h"

namespace flowrun {
namespace {

struct Drawn {
  Masks masks;
  uint64_t ledger = 0;
};

struct Where {
  uint64_t group = 0, seed = 7;
  int64_t step = 1, images = 8, groups = 1;
  int rank = 0, world = 1;
  int size = 224;
  int views = 1;
  int64_t total_steps = 0;
};

/// One group of images of which only the size matters.
void draw(const std::string& type, const std::string& params, const Where& where, Drawn& out) {
  const auto node = test::make_node(type, params);
  ImageBatch images;
  images.height = images.width = where.size, images.images = where.images * where.views, images.views = where.views;
  void* objects[] = {&images, &out.masks};
  const PortSlot slots[] = {{0, false}, {1, false}};
  const RunInfo run{.seed = where.seed, .rank = where.rank, .world = where.world, .total_steps = where.total_steps};
  node->run(Call{objects, nullptr, slots},
            GroupContext{run, where.seed, 5, 0, where.group, where.step, where.images, where.groups, LedgerEntry(&out.ledger)});
}

std::string error_of(const std::string& type, const std::string& params, const Where& where = {}) {
  Drawn out;
  try {
    draw(type, params, where, out);
  } catch (const std::exception& error) {
    return error.what();
  }
  return "no error";
}

const char* const types[] = {"mask.rectangles",    "mask.ijepa_compat", "mask.ijepa_fixed", "mask.random", "mask.blockwise",
                             "mask.inverse_block", "mask.cyclic_block", "mask.noise",       "mask.units"};

TEST(MaskNodes, DefaultsDrawAndEnterTheLedger) {
  for (const char* type : types) {
    SCOPED_TRACE(type);
    Drawn a, b, other;
    draw(type, "{}", {}, a);
    draw(type, "{}", {}, b);
    draw(type, "{}", {.group = 1}, other);
    EXPECT_EQ(a.masks.grid, 14);
    EXPECT_EQ(a.masks.images, 8);
    EXPECT_NE(a.ledger, 0u);
    EXPECT_EQ(a.ledger, b.ledger);
    EXPECT_NE(a.ledger, other.ledger);
    draw(type, "{}", {.seed = 8}, other);
    EXPECT_NE(a.masks.visible, other.masks.visible);
  }
}

TEST(MaskNodes, EachViewIsAnImage) {
  for (const char* type : types) {
    SCOPED_TRACE(type);
    Drawn views, images;
    draw(type, "{}", {.images = 4, .views = 3}, views);
    draw(type, "{}", {.images = 12}, images);
    EXPECT_EQ(views.masks.images, 12);
    EXPECT_EQ(views.masks.visible, images.masks.visible) << "as twelve pictures have them";
    EXPECT_EQ(views.masks.targets, images.masks.targets);
    EXPECT_EQ(views.ledger, images.ledger);
    const int64_t count = views.masks.visible_count;
    const auto first = views.masks.visible.begin();
    EXPECT_FALSE(std::equal(first, first + count, first + count) && std::equal(first, first + count, first + 2 * count)) << "of its own";
  }
}

TEST(MaskNodes, RatioMovesOverTheRun) {
  const auto visible_at = [](int64_t step, const char* params) {
    Drawn out;
    draw("mask.random", params, {.step = step, .total_steps = 10}, out);
    return out.masks.visible_count;
  };
  const char* const grows = R"({"ratio": 0.25, "ratio_final": 0.75})";
  EXPECT_EQ(visible_at(1, grows), 147);
  EXPECT_EQ(visible_at(6, grows), 98);
  EXPECT_EQ(visible_at(10, grows), 58) << "int(196 (1 - 0.7))";
  EXPECT_EQ(visible_at(10, R"({"ratio": 0.25})"), 147);
}

TEST(MaskNodes, RanksDifferButForTheSizesOfCompat) {
  for (const char* type : types) {
    SCOPED_TRACE(type);
    // Two ranks of two groups in each step: rank 0 has groups 0 and 1 of the first, rank 1 has 2 and 3.
    for (const uint64_t nth : {0, 1}) {
      Drawn first, second;
      draw(type, "{}", {.group = nth, .groups = 2, .rank = 0, .world = 2}, first);
      draw(type, "{}", {.group = nth + 2, .groups = 2, .rank = 1, .world = 2}, second);
      EXPECT_NE(first.masks.visible, second.masks.visible);
      if (std::string(type) == "mask.ijepa_compat") {
        EXPECT_EQ(first.masks.region_size, second.masks.region_size);
      }
    }
  }
  // The sizes don't depend on the seed, but on how many groups there were.
  std::vector<int64_t> sizes, of_another_seed;
  for (int64_t step = 1; step <= 40; ++step) {
    Drawn a, b;
    draw("mask.ijepa_compat", "{}", {.group = static_cast<uint64_t>(step - 1), .step = step}, a);
    draw("mask.ijepa_compat", "{}", {.group = static_cast<uint64_t>(step - 1), .seed = 99, .step = step}, b);
    sizes.push_back(a.masks.region_size), of_another_seed.push_back(b.masks.region_size);
  }
  EXPECT_EQ(sizes, of_another_seed);
  EXPECT_GT(*std::max_element(sizes.begin(), sizes.end()), *std::min_element(sizes.begin(), sizes.end()));
}

TEST(MaskNodes, ErrorsNameTheFix) {
  for (const char* type : types) {
    EXPECT_THAT(error_of(type, "{}", {.size = 220}), testing::HasSubstr("images of 220x220 are not a square grid of patches of 16")) << type;
  }
  EXPECT_THAT(error_of("mask.random", R"({"ratio": 1})"), testing::HasSubstr("hides 196 of 196 patches: some must be hidden and some visible"));
  EXPECT_THAT(error_of("mask.units", R"({"unit": 48})"), testing::HasSubstr("not a whole number of units of 48: change unit"));
  EXPECT_THAT(error_of("mask.blockwise", R"({"count": 8})"), testing::HasSubstr("fewer than min_block = 16: make min_block smaller"));
  EXPECT_THAT(error_of("mask.blockwise", R"({"ratio": 1})"), testing::HasSubstr("196 of 196 patches are to be hidden"));
  EXPECT_THAT(error_of("mask.inverse_block", "{}", {.size = 64}), testing::HasSubstr("make length smaller"));
  EXPECT_THAT(error_of("mask.cyclic_block", R"({"ratio": [1, 1]})"), testing::HasSubstr("some must be hidden and some visible"));
  EXPECT_THAT(error_of("mask.ijepa_compat", "{}", {.size = 96}), testing::HasSubstr("has no more than min_keep = 10"));
}

std::string fault_of(const std::string& type, const std::string& params) {
  const auto node = find_node_type(type)->make();
  Diagnostics faults;
  read_params(node->params(), parse_json(std::make_shared<Source>(Source{type, params}), faults), {}, "node", type, faults);
  const auto fault = node->check();
  return fault ? std::string(fault->param) + ": " + fault->message : "";
}

TEST(MaskNodes, ParametersThatContradictEachOther) {
  EXPECT_THAT(fault_of("mask.random", R"({"ratio": 0.5, "kept": 0.6})"), testing::StartsWith("kept: "));
  EXPECT_THAT(fault_of("mask.random", R"({"ratio": 0.5, "ratio_final": 0.2, "kept": 0.4})"), testing::StartsWith("kept: "));
  EXPECT_THAT(fault_of("mask.units", R"({"unit": 24})"), testing::StartsWith("unit: unit must be a multiple of patch"));
  EXPECT_THAT(fault_of("mask.blockwise", R"({"spread": [0.5, 0.1]})"), testing::StartsWith("spread: "));
  EXPECT_THAT(fault_of("mask.blockwise", R"({"spread": [0.1, 0.5], "count": 75})"), testing::StartsWith("count: "));
  EXPECT_THAT(fault_of("mask.blockwise", R"({"choice": [[0.1, 0.2]]})"),
              testing::StartsWith("choice: a ratio of choice must be at least its spread"));
  EXPECT_THAT(fault_of("mask.blockwise", R"({"choice": [[0, 0]]})"), testing::StartsWith("choice: the largest ratio + spread of choice"));
  EXPECT_THAT(fault_of("mask.blockwise", R"({"choice": [[0.6, 0.4]]})"), testing::StartsWith("choice: the largest ratio + spread of choice"));
  EXPECT_THAT(fault_of("mask.blockwise", R"({"choice": [[0.3, 0.2]], "spread": [0.1, 0.5]})"), testing::StartsWith("spread: "));
  EXPECT_THAT(fault_of("mask.blockwise", R"({"choice": [[0.3, 0.2]], "count": 75})"), testing::StartsWith("count: "));
  EXPECT_THAT(fault_of("mask.blockwise", R"({"max_block": 8})"), testing::StartsWith("max_block: "));
  EXPECT_EQ(fault_of("mask.blockwise", R"({"choice": [[0, 0], [0.3, 0.2]]})"), "");
  EXPECT_THAT(fault_of("mask.cyclic_block", R"({"ratio": [0.8]})"), testing::StartsWith("ratio: "));
  EXPECT_THAT(fault_of("mask.noise", R"({"sigma1": 2, "sigma2": 1})"), testing::StartsWith("sigma2: "));
  EXPECT_THAT(fault_of("mask.ijepa_compat", R"({"aspect": [1]})"), testing::StartsWith("aspect: "));
  EXPECT_EQ(fault_of("mask.noise", R"({"colour": "red", "sigma1": 3})"), "");
}

}  // namespace
}  // namespace flowrun
