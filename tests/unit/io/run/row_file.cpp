#include "io/run/row_file.h"

#include <gmock/gmock.h>

#include "io/error.h"
#include "io/run/safetensors.h"
#include "support/io_files.h"

namespace flowrun::io {
namespace {

using test::get_file;
using test::message_of;
using test::put_file;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Pair;

template <class T>
std::span<const std::byte> bytes_of(const std::vector<T>& values) {
  return std::as_bytes(std::span(values));
}

const std::vector<float> rows = {0, 1, 2, 3, 4, 5, 6, 7};  // 4 x 2
const std::vector<int64_t> labels = {7, -1, 5, 4};

TEST(RowFile, RowsMayComeInAnyOrderFromSeveralWriters) {
  const test::TemporaryDirectory dir;
  const std::vector<RowArray> arrays = {{"features", "F32", {4, 2}}, {"labels", "I64", {4}}};
  {
    RowFile one(dir / "x.safetensors", arrays);
    one.write(0, 2, bytes_of(rows).subspan(16));
    RowFile two(dir / "x.safetensors", arrays);
    two.write(1, 1, bytes_of(labels).subspan(8));
    two.write(1, 0, bytes_of(labels).first(8));
    one.write(0, 0, bytes_of(rows).first(16));
    one.sync();
  }
  write_safetensors(dir / "y.safetensors",
                    std::vector<TensorEntry>{{"features", "F32", {4, 2}, bytes_of(rows)}, {"labels", "I64", {4}, bytes_of(labels)}});
  EXPECT_EQ(get_file(dir / "x.safetensors"), get_file(dir / "y.safetensors"));
}

// As np.save writes it.
TEST(RowFile, NumPyFiles) {
  const test::TemporaryDirectory dir;
  const std::vector<std::pair<std::vector<int64_t>, std::string>> cases = {
      {{4, 2}, "(4, 2)"}, {{8}, "(8,)"}, {{2, 2, 2}, "(2, 2, 2)"}, {{0, 3}, "(0, 3)"}};
  for (const auto& [shape, text] : cases) {
    RowFile file(dir / "x.npy", {{"", "F32", shape}});
    if (shape[0] > 0) file.write(0, 0, bytes_of(rows));
    std::string head = "{'descr': '<f4', 'fortran_order': False, 'shape': " + text + ", }";
    head.append(64 - (10 + head.size() + 1) % 64, ' ');
    const std::string whole = std::string("\x93NUMPY\x01\x00\x76\x00", 10) + head + "\n";
    EXPECT_EQ(get_file(dir / "x.npy").substr(0, 128), whole.substr(0, 128)) << text;
    const NpyHead read = read_npy_head(dir / "x.npy");
    EXPECT_EQ(read.shape, shape);
    EXPECT_EQ(read.dtype, "F32");
    EXPECT_EQ(read.begin, 128u);
    EXPECT_EQ(get_file(dir / "x.npy").size(), 128 + (shape[0] > 0 ? 32 : 0));
  }
  put_file(dir / "z.npy", "nothing");
  EXPECT_THAT(message_of<Error>([&] { read_npy_head(dir / "z.npy"); }), HasSubstr("z.npy: not a NumPy file"));
}

TEST(RowFile, AnOlderFileOfAnotherSizeIsCut) {
  const test::TemporaryDirectory dir;
  put_file(dir / "x.npy", std::string(1000, 'x'));
  RowFile(dir / "x.npy", {{"", "I64", {4}}}).write(0, 0, bytes_of(labels));
  EXPECT_EQ(get_file(dir / "x.npy").size(), 128u + 32);
}

TEST(RowsDone, MarksAreKept) {
  const test::TemporaryDirectory dir;
  RowsDone::begin(dir / "x", "a note", 10);
  RowsDone record(dir / "x");
  EXPECT_EQ(record.note(), "a note");
  EXPECT_EQ(record.rows(), 10);
  EXPECT_THAT(record.missing(), ElementsAre(Pair(0, 10)));
  record.mark(0, 2);
  RowsDone(dir / "x").mark(5, 3);
  EXPECT_THAT(record.missing(), ElementsAre(Pair(2, 5), Pair(8, 10)));
  record.mark(8, 2), record.mark(2, 3);
  EXPECT_THAT(record.missing(), IsEmpty());
  put_file(dir / "y", "none");
  EXPECT_THAT(message_of<Error>([&] { RowsDone(dir / "y"); }), HasSubstr("y is no list of done rows: delete it"));
  EXPECT_THAT(message_of<Error>([&] { RowsDone(dir / "z"); }), HasSubstr("cannot open"));
}

}  // namespace
}  // namespace flowrun::io
