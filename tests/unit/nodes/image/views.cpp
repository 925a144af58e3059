#include <algorithm>
#include <gmock/gmock.h>
#include <set>
#include <tuple>

#include "io/codec/jpeg.h"
#include "nodes/lib/host/types/faults.h"
#include "nodes/lib/host/types/host_types.h"
#include "nodes/lib/host/types/matches.h"
#include "support/run_node.h"

namespace flowrun {
namespace {

using test::make_node;
using test::run_sample;

/// Views of 40 by 48 pixels of noise, each another.
Image noise(int views) {
  Image image;
  image.pixels.reshape(40, 48, 3, views);
  uint32_t state = 7;
  for (uint8_t& value : image.pixels.pixels) value = static_cast<uint8_t>((state = state * 1664525 + 1013904223) >> 24);
  return image;
}

std::vector<uint8_t> pixels_of(const Image& image, int view) {
  const io::ImageView seen = image.pixels.view(view);
  return {seen.pixels, seen.pixels + seen.bytes()};
}

Image alone(const Image& image, int view) {
  Image one;
  one.pixels.reshape(image.pixels.height, image.pixels.width, 3);
  one.pixels.pixels = pixels_of(image, view);
  return one;
}

struct Kind {
  std::string type, params;
  bool maps = false;  // has ports for label maps
};

class EachView : public testing::TestWithParam<Kind> {
 protected:
  uint64_t run(Image& in, Image& out, uint64_t sample) const {
    std::vector<void*> ports = {&in, &out};
    Mirrored mirrored;
    if (GetParam().maps) ports = {&in, nullptr, &out, nullptr};
    if (GetParam().type == "image.random_flip") ports.push_back(&mirrored);
    return run_sample(*node_, ports, sample);
  }
  std::unique_ptr<Node> node_ = make_node(GetParam().type, GetParam().params);
};

TEST_P(EachView, IsChangedByItselfAndTheFirstAsIfAlone) {
  Image in = noise(3);
  Image first = alone(in, 0);
  int differ = 0;
  for (uint64_t sample = 0; sample < 400; ++sample) {
    Image out, out_first, again;
    const uint64_t ledger = run(in, out, sample);
    EXPECT_EQ(out.pixels.views, 3);
    run(first, out_first, sample);
    EXPECT_EQ(out_first.pixels.views, 1);
    EXPECT_EQ(pixels_of(out, 0), pixels_of(out_first, 0));
    // The same view three times: what is drawn differs.
    Image thrice;
    thrice.pixels.reshape(40, 48, 3, 3);
    for (int view = 0; view < 3; ++view) std::copy(first.pixels.pixels.begin(), first.pixels.pixels.end(), thrice.pixels.at(view));
    EXPECT_EQ(run(thrice, again, sample), ledger) << "the ledger is of what is drawn, not of pixels";
    EXPECT_EQ(pixels_of(again, 0), pixels_of(out, 0));
    differ += pixels_of(again, 1) != pixels_of(again, 0) && pixels_of(again, 1) != pixels_of(again, 2);
    // In place it is the same.
    Image place = in;
    EXPECT_EQ(run(place, place, sample), ledger);
    EXPECT_EQ(place.pixels.pixels, out.pixels.pixels);
  }
  EXPECT_GT(differ, 70);  // of two fair coins a quarter
  // A node object is used again with pictures of another number of views.
  Image out = noise(5), in_first = first;
  run(in_first, out, 1);
  EXPECT_EQ(out.pixels.views, 1);
  EXPECT_EQ(out.pixels.pixels.size(), first.pixels.pixels.size());
}

INSTANTIATE_TEST_SUITE_P(Views, EachView,
                         testing::Values(Kind{"image.random_flip", "{}", true}, Kind{"image.random_vertical_flip", "{}", true},
                                         Kind{"image.cut_out", "{}", true}, Kind{"image.color_jitter", "{}"},
                                         Kind{"image.grayscale", R"({"p": 0.5})"}, Kind{"image.solarize", R"({"p": 0.5})"}, Kind{"image.blur", "{}"},
                                         Kind{"image.rand_augment", "{}"}),
                         [](const auto& param) { return param.param.type.substr(param.param.type.find('.') + 1); });

TEST(Chances, AreWhatTheyAreSaidToBe) {
  for (const auto& [type, p] : {std::pair("image.grayscale", 0.2), std::pair("image.solarize", 0.2), std::pair("image.blur", 0.5)}) {
    const auto node = make_node(type);
    int changed = 0;
    for (uint64_t sample = 0; sample < 250; ++sample) {
      Image in = noise(4), out;
      run_sample(*node, {&in, &out}, sample);
      for (int view = 0; view < 4; ++view) changed += pixels_of(in, view) != pixels_of(out, view);
    }
    // A sigma below some 0.14 changes nothing.
    EXPECT_NEAR(changed, 1000 * p, 60) << type;
  }
}

TEST(PaddedCrop, CutsTheSquareThatItDrewWithItsBorder) {
  const auto node = make_node("image.padded_crop", R"({"size": 42, "pad": 4})");
  std::set<std::pair<int, int>> places;
  for (uint64_t sample = 0; sample < 500; ++sample) {
    Image in = noise(2), out;
    for (uint8_t& value : in.pixels.pixels) value = std::max<uint8_t>(value, 1);  // black is the border
    run_sample(*node, {&in, &out}, sample);
    ASSERT_EQ(out.pixels.views, 2);
    for (int view = 0; view < 2; ++view) {
      const std::vector<uint8_t> from = pixels_of(in, view), to = pixels_of(out, view);
      const auto at = [&](const std::vector<uint8_t>& pixels, int width, int row, int column) {
        return pixels[static_cast<size_t>(row * width + column) * 3];
      };
      int found = 0;
      for (int top = -4; top <= 40 + 4 - 42; ++top) {
        for (int left = -4; left <= 48 + 4 - 42; ++left) {
          bool equal = true;
          for (int row = 0; row < 42 && equal; ++row) {
            for (int column = 0; column < 42 && equal; ++column) {
              const bool inside = top + row >= 0 && top + row < 40 && left + column >= 0 && left + column < 48;
              equal = at(to, 42, row, column) == (inside ? at(from, 48, top + row, left + column) : 0);
            }
          }
          found += equal;
          if (equal) places.emplace(top, left);
        }
      }
      EXPECT_EQ(found, 1);
    }
  }
  EXPECT_EQ(places.size(), 7u * 15u) << "every place occurs";
  Image in = noise(1), out;
  EXPECT_THROW(run_sample(*make_node("image.padded_crop", R"({"size": 49, "pad": 4})"), {&in, &out}), NodeError);
  run_sample(*make_node("image.padded_crop", R"({"size": 40, "pad": 0})"), {&in, &out});
  EXPECT_EQ(out.pixels.height, 40);
}

TEST(Blur, SaysWhereTheKernelIsTooLarge) {
  Image in = noise(1), out;
  const auto node = make_node("image.blur", R"({"kernel_size": 81})");
  EXPECT_THROW(run_sample(*node, {&in, &out}), NodeError);
  run_sample(*make_node("image.blur", R"({"kernel_size": 79})"), {&in, &out});
}

Bytes photograph() {
  Image image = noise(1);
  Bytes jpeg;
  io::encode_jpeg(image.pixels.view(), 90, jpeg.data);
  return jpeg;
}

TEST(RandomCrop, SeveralRegionsAreEachAsIfAloneAndTheFirstIsTheOnlyOne) {
  Bytes jpeg = photograph();
  const auto one = make_node("image.random_crop", R"({"area": [0.05, 0.4]})"),
             many = make_node("image.random_crop", R"({"area": [0.05, 0.4], "count": 8})");
  Region single, several;
  for (uint64_t sample = 0; sample < 100; ++sample) {
    run_sample(*one, {&jpeg, nullptr, &single}, sample);
    run_sample(*many, {&jpeg, nullptr, &several}, sample);
    EXPECT_TRUE(single.views.empty());
    ASSERT_EQ(several.count(), 8);
    EXPECT_EQ(several.views[0], single.rect);
    EXPECT_NE(several.views[1], several.views[2]);
    int left = 48, top = 40, right = 0, bottom = 0;
    for (const io::Rect& rect : several.views) {
      left = std::min(left, rect.x), top = std::min(top, rect.y);
      right = std::max(right, rect.x + rect.width), bottom = std::max(bottom, rect.y + rect.height);
    }
    EXPECT_EQ(several.rect, (io::Rect{left, top, right - left, bottom - top}));
  }
}

TEST(RandomCrop, NearMovesRegionsAndPullTheLaterOnes) {
  Bytes jpeg = photograph();
  const auto plain = make_node("image.random_crop", R"({"area": [0.05, 0.1], "count": 3})"),
             pulled = make_node("image.random_crop", R"({"area": [0.05, 0.1], "count": 3, "pull": true})");
  Region near{{0, 0, 20, 20}}, turned{{0, 0, 20, 20}, true}, before, after, together;
  const auto overlap = [](const io::Rect& a, const io::Rect& b) {
    return std::min(a.x + a.width, b.x + b.width) > std::max(a.x, b.x) && std::min(a.y + a.height, b.y + b.height) > std::max(a.y, b.y);
  };
  int apart = 0;
  for (uint64_t sample = 0; sample < 100; ++sample) {
    run_sample(*plain, {&jpeg, nullptr, &before}, sample);
    run_sample(*plain, {&jpeg, &near, &after}, sample);
    run_sample(*pulled, {&jpeg, nullptr, &together}, sample);
    EXPECT_EQ(together.views[0], before.views[0]);
    for (size_t view = 0; view < 3; ++view) {
      apart += !overlap(before.views[view], near.rect);
      EXPECT_TRUE(overlap(after.views[view], near.rect));
      EXPECT_TRUE(overlap(together.views[view], together.views[0]));
      EXPECT_EQ(after.views[view].width, before.views[view].width);
    }
  }
  EXPECT_GT(apart, 50);
  EXPECT_THROW(run_sample(*plain, {&jpeg, &turned, &after}), FatalNodeError);
}

TEST(Resize, SeveralRegionsBecomeTheViewsThatEachGivesAlone) {
  Bytes jpeg = photograph();
  const auto crop = make_node("image.random_crop", R"({"area": [0.05, 0.4], "count": 4})"), decode = make_node("image.decode");
  const auto resize = make_node("image.resize", R"({"size": 16})");
  Region regions;
  Image picture, whole, views, of_whole, expected;
  Fault fault;
  for (uint64_t sample = 0; sample < 20; ++sample) {
    run_sample(*crop, {&jpeg, nullptr, &regions}, sample);
    run_sample(*decode, {&jpeg, &regions, &picture, &fault});
    EXPECT_EQ(picture.covers.rect, regions.rect);
    run_sample(*decode, {&jpeg, nullptr, &whole, &fault});
    run_sample(*resize, {&picture, &regions, &views});
    run_sample(*resize, {&whole, &regions, &of_whole});
    ASSERT_EQ(views.pixels.views, 4);
    EXPECT_EQ(views.pixels.pixels, of_whole.pixels.pixels);
    for (int view = 0; view < 4; ++view) {
      Region region{regions.views[static_cast<size_t>(view)]};
      run_sample(*resize, {&whole, &region, &expected});
      EXPECT_EQ(pixels_of(views, view), expected.pixels.pixels);
    }
  }
  // Views are resized and cut by themselves.
  run_sample(*make_node("image.resize", R"({"size": 8})"), {&views, nullptr, &of_whole});
  run_sample(*make_node("image.center_crop", R"({"size": 6})"), {&of_whole, &expected});
  Image third = alone(views, 2), small, middle;
  run_sample(*make_node("image.resize", R"({"size": 8})"), {&third, nullptr, &small});
  run_sample(*make_node("image.center_crop", R"({"size": 6})"), {&small, &middle});
  EXPECT_EQ(pixels_of(expected, 2), middle.pixels.pixels);
  EXPECT_THROW(run_sample(*resize, {&views, &regions, &small}), FatalNodeError);
  EXPECT_THROW(run_sample(*make_node("image.resize", R"({"size": 16, "fit": "shortest"})"), {&whole, &regions, &small}), FatalNodeError);
}

TEST(Decode, OfSeveralRegionsTheSmallestKeepsItsPixelsUnderDctScaling) {
  Image large;
  large.pixels.reshape(400, 600, 3);
  Bytes jpeg;
  io::encode_jpeg(large.pixels.view(), 80, jpeg.data);
  const auto decode = make_node("image.decode", R"({"dct_scaling": 50})");
  Image out;
  Fault fault;
  for (const auto& [smallest, height] : {std::pair(200, 100), std::pair(199, 200), std::pair(100, 200), std::pair(99, 400)}) {
    Region regions{{0, 0, 600, 400}, false, {{0, 0, 600, 400}, {10, 10, smallest, 300}}};
    run_sample(*decode, {&jpeg, &regions, &out, &fault});
    EXPECT_EQ(out.pixels.height, height) << smallest;
  }
}

TEST(Decode, ABlackPictureStandsForABrokenFile) {
  Bytes good = photograph(), cut = good, none;
  cut.data.resize(cut.data.size() / 2);
  Region region{{3, 5, 20, 10}, false, {}};
  Image out, picture;
  Fault fault;
  const auto decode = make_node("image.decode", R"({"on_corrupt": "blank"})"), strict = make_node("image.decode");
  run_sample(*decode, {&good, nullptr, &picture, &fault});
  EXPECT_EQ(fault.why, "");
  EXPECT_GT(*std::max_element(picture.pixels.pixels.begin(), picture.pixels.pixels.end()), 0);
  for (const auto& [file, of, width, height] : {std::tuple(&cut, static_cast<Region*>(nullptr), picture.pixels.width, picture.pixels.height),
                                                {&none, static_cast<Region*>(nullptr), 1, 1},
                                                {&cut, &region, 20, 10}}) {
    run_sample(*decode, {file, of, &out, &fault});
    EXPECT_NE(fault.why, "");
    EXPECT_EQ(std::pair(out.pixels.width, out.pixels.height), std::pair(width, height));
    EXPECT_EQ(out.pixels.pixels, std::vector<uint8_t>(static_cast<size_t>(width * height * 3)));
    EXPECT_THROW(run_sample(*strict, {file, of, &out, &fault}), std::exception);
  }
  run_sample(*decode, {&good, nullptr, &out, &fault});
  EXPECT_EQ(fault.why, "");
  EXPECT_EQ(out.pixels.pixels, picture.pixels.pixels);
  const auto ends = make_node("image.decode", R"({"on_corrupt": "blank", "on_truncated": "error"})");
  EXPECT_THROW(run_sample(*ends, {&cut, nullptr, &out, &fault}), FatalNodeError);
}

TEST(LabelMaps, AreForOneView) {
  Image views = noise(3), out;
  LabelMap map, out_map;
  Mirrored mirrored;
  map.pixels.reshape(40, 48, 1);
  Region regions{{0, 0, 20, 20}, false, {{0, 0, 10, 10}, {10, 10, 10, 10}}};
  EXPECT_THROW(run_sample(*make_node("image.random_flip"), {&views, &map, &out, &out_map, &mirrored}), FatalNodeError);
  EXPECT_THROW(run_sample(*make_node("image.cut_out"), {&views, &map, &out, &out_map}), FatalNodeError);
  EXPECT_THROW(run_sample(*make_node("image.label_resize"), {&map, &regions, &out_map}), FatalNodeError);
}

}  // namespace
}  // namespace flowrun
