#include "nodes/lib/host/source/picture_list.h"

#include <gmock/gmock.h>

#include "io/error.h"
#include "support/io_files.h"

namespace flowrun::source {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
namespace test = io::test;

const std::vector<std::string_view> names = {"ant/1.jpg", "ant/2 b.jpg", "bee/1.jpg", "bee/only.jpg"};

class Lists : public testing::Test {
 protected:
  PictureList read(const std::string& text, const std::string& name = "list.txt") {
    test::put_file(dir_ / name, text);
    return read_picture_list(dir_ / name, names, "/data/train");
  }
  std::string fault(const std::string& text, const std::string& name = "list.txt") {
    const std::string message = test::message_of<io::Error>([&] { read(text, name); });
    const size_t at = message.find(name);
    return at == std::string::npos ? message : message.substr(at);
  }
  test::TemporaryDirectory dir_;
};

TEST_F(Lists, OnePathALine) {
  const PictureList list = read("bee/1.jpg\r\n\nant/1.jpg\nonly.jpg\n");
  EXPECT_THAT(list.samples, ElementsAre(0u, 2u, 3u));
  EXPECT_THAT(list.labels, IsEmpty());
}

TEST_F(Lists, AsFindWritesThem) {
  EXPECT_THAT(read("./ant/1.jpg\n./ant/2 b.jpg\n").samples, ElementsAre(0u, 1u));
  EXPECT_THAT(read("/data/train/ant/1.jpg\nant//../bee/1.jpg\n").samples, ElementsAre(0u, 2u));
}

TEST_F(Lists, AByteOrderMarkIsPassedOver) {
  EXPECT_THAT(read("\xef\xbb\xbf"
                   "ant/1.jpg\n")
                  .samples,
              ElementsAre(0u));
}

TEST_F(Lists, ALabelBehindThePath) {
  for (const char* text : {"bee/1.jpg 7\nant/2 b.jpg 3\n", "bee/1.jpg\t7\nant/2 b.jpg\t3\n", "bee/1.jpg,7\nant/2 b.jpg, 3\n"}) {
    const PictureList list = read(text);
    EXPECT_THAT(list.samples, ElementsAre(1u, 2u));
    EXPECT_THAT(list.labels, ElementsAre("3", "7"));
  }
}

TEST_F(Lists, Tables) {
  EXPECT_THAT(read("path,label\nbee/1.jpg,bee\nant/1.jpg,ant\n", "t.csv").labels, ElementsAre("ant", "bee"));
  EXPECT_THAT(read("id,Class,Filename\n1,\"a, b\",ant/1.jpg\n", "t.csv").labels, ElementsAre("a, b"));
  EXPECT_THAT(read("bee/1.jpg\tbee\n", "t.tsv").labels, ElementsAre("bee"));
  EXPECT_THAT(read("ant/1.jpg\n", "t.csv").labels, IsEmpty());
  EXPECT_THAT(read("image;target\nbee/1.jpg;0.5\n", "t.txt").labels, ElementsAre("0.5"));
}

TEST_F(Lists, FaultsNameTheLine) {
  EXPECT_THAT(fault("ant/1.jpg\n\nant/99.jpg\n"), HasSubstr("list.txt:3: the folder has no file \"ant/99.jpg\""));
  EXPECT_THAT(fault("1.jpg\n"), HasSubstr("list.txt:1: several files are called \"1.jpg\""));
  EXPECT_THAT(fault("bee/only.jpg\nonly.jpg\n"), HasSubstr("list.txt:2: \"only.jpg\" was named in line 1 already"));
  EXPECT_THAT(fault("ant/1.jpg 0\nbee/1.jpg\n"), HasSubstr("list.txt:2: \"bee/1.jpg\" has no label, as the lines before have"));
  EXPECT_THAT(fault("ant/1.jpg\nbee/1.jpg 0\n"), HasSubstr("list.txt:2: a label stands behind"));
  EXPECT_THAT(fault("\n"), HasSubstr("names no file"));
  EXPECT_THAT(fault("path,label\n", "t.csv"), HasSubstr("names no file"));
  EXPECT_THAT(fault(std::string("ant/1.jpg\0", 10)), HasSubstr("is no text"));
  EXPECT_THAT(test::message_of<io::Error>([&] { read_picture_list(dir_ / "none.txt", names, "/"); }), HasSubstr("none.txt"));
}

}  // namespace
}  // namespace flowrun::source
