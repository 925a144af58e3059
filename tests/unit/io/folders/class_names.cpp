#include "io/folders/class_names.h"

#include <gmock/gmock.h>

namespace flowrun::io {
namespace {

using testing::ElementsAre;

TEST(ClassNames, NumbersStayAsTheyAre) {
  const ClassNames found = name_classes({"3", " 0\n", "1.0", "-1", "nan"});
  EXPECT_TRUE(found.numbers);
  EXPECT_THAT(found.labels, ElementsAre(3, 0, 1, -1, -1));
  EXPECT_THAT(found.classes, ElementsAre("0", "1", "2", "3"));
}

TEST(ClassNames, KeysOfADataBaseBecomePlaces) {
  const ClassNames found = name_classes({"48000000", "7", "1180000", "-1", "7"});
  EXPECT_THAT(found.labels, ElementsAre(2, 0, 1, -1, 0));
  EXPECT_THAT(found.classes, ElementsAre("7", "1180000", "48000000"));
}

TEST(ClassNames, TextsAreNames) {
  const ClassNames found = name_classes({"bee", "ant", "", "2", "bee"});
  EXPECT_FALSE(found.numbers);
  EXPECT_THAT(found.classes, ElementsAre("2", "ant", "bee"));
  EXPECT_THAT(found.labels, ElementsAre(2, 1, -1, 0, 2));
}

TEST(ClassNames, WholeNumbers) {
  EXPECT_EQ(whole_number("3"), 3);
  EXPECT_EQ(whole_number("3.0"), 3);
  EXPECT_EQ(whole_number("4.8e7"), 48000000);
  EXPECT_EQ(whole_number("0.5"), -2);
  EXPECT_EQ(whole_number("-2"), -2);
  EXPECT_EQ(whole_number("99999999999999999999"), -2);
  EXPECT_EQ(whole_number("inf"), -2);
  EXPECT_EQ(whole_number("3 cats"), -2);
  EXPECT_EQ(whole_number("None"), -1);
}

}  // namespace
}  // namespace flowrun::io
