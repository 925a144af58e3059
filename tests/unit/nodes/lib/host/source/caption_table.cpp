#include "nodes/lib/host/source/caption_table.h"

#include <gmock/gmock.h>

#include "io/error.h"
#include "support/io_files.h"

namespace flowrun::source {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
namespace test = io::test;

class CaptionTable : public testing::Test {
 protected:
  std::vector<std::vector<std::string>> read(const std::string& text, const std::string& name = "t.csv") {
    test::put_file(dir_ / name, text);
    return read_caption_table(dir_ / name, {"ant/1.jpg", "ant/2.jpg", "bee/1.jpg", "bee/only.jpg"}, "/data");
  }
  std::string fault(const std::string& text, const std::string& name = "t.csv") {
    const std::string message = test::message_of<io::Error>([&] { read(text, name); });
    return message.substr(message.find(name));
  }
  test::TemporaryDirectory dir_;
};

TEST_F(CaptionTable, HasOneOrSeveralCaptionsOfAPicture) {
  const auto found = read("only.jpg,\"a bee, alone\"\nant/1.jpg,an ant\n\nonly.jpg,\"a \"\"bee\"\"\"\n");
  EXPECT_THAT(found[0], ElementsAre("an ant"));
  EXPECT_THAT(found[1], IsEmpty());
  EXPECT_THAT(found[3], ElementsAre("a bee, alone", "a \"bee\""));
  EXPECT_THAT(read("ant/1.jpg\tan ant, walking\r\n", "t.tsv")[0], ElementsAre("an ant, walking"));
}

TEST_F(CaptionTable, MayNameItsColumns) {
  EXPECT_THAT(read("\xef\xbb\xbfid,Caption,File\n7,an ant,/data/ant/1.jpg\n")[0], ElementsAre("an ant"));
  EXPECT_THAT(read("image\ttext\nant/1.jpg\tan ant\n", "t.tsv")[0], ElementsAre("an ant"));
}

TEST_F(CaptionTable, NamesTheLineOfAFault) {
  EXPECT_EQ(fault("ant/1.jpg,an ant\nant/3.jpg,none\n"),
            "t.csv:2: the folder has no file \"ant/3.jpg\"; paths are relative to the folder, one a line");
  EXPECT_EQ(fault("1.jpg,an ant\n"), "t.csv:1: several files are called \"1.jpg\"; write their paths in the folder");
  EXPECT_EQ(fault("ant/1.jpg\n"), "t.csv:1: \"ant/1.jpg\" has no caption behind a comma");
  EXPECT_EQ(fault("ant/1.jpg,\n"), "t.csv:1: \"ant/1.jpg\" has no caption behind a comma");
  EXPECT_EQ(fault("ant/1.jpg,\"an\nant\"\n"), "t.csv:1: a quote is not closed in the line; a caption stands in one line");
  EXPECT_EQ(fault("path,caption\n"), "t.csv has no captions");
  EXPECT_EQ(fault("ant/1.jpg an ant\n", "t.txt"), "t.txt must be a .csv or a .tsv file");
}

}  // namespace
}  // namespace flowrun::source
