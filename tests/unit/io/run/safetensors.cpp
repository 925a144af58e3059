#include "io/run/safetensors.h"

#include <cstring>
#include <gmock/gmock.h>

#include "io/error.h"
#include "support/io_files.h"
#include "support/io_python.h"

namespace flowrun::io {
namespace {

using test::get_file;
using test::message_of;
using test::put_file;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

template <class T>
std::span<const std::byte> bytes_of(const std::vector<T>& values) {
  return std::as_bytes(std::span(values));
}

// A file of the given header and that many bytes of data.
std::string file_of(const std::string& header, size_t data_bytes) {
  uint64_t length = header.size();
  std::string file(8, '\0');
  std::memcpy(file.data(), &length, 8);
  return file + header + std::string(data_bytes, '\1');
}

std::string fault_of(const std::string& file) {
  return message_of<Error>([&] { parse_safetensors(std::as_bytes(std::span(file)), "x.safetensors"); });
}

TEST(Safetensors, RoundTrip) {
  const test::TemporaryDirectory dir;
  const std::vector<float> weights = {1, 2, 3, 4, 5, 6};
  const std::vector<int64_t> step = {42};
  const std::vector<uint8_t> mask = {1, 0, 1};
  const std::vector<TensorEntry> entries = {{"mask", "U8", {3}, bytes_of(mask)},
                                            {"blocks.0.weight", "F32", {2, 3}, bytes_of(weights)},
                                            {"step", "I64", {}, bytes_of(step)},
                                            {"nothing", "F32", {0, 4}, {}}};
  write_safetensors(dir / "m.safetensors", entries, {{"format", "pt"}, {"arch", "vit"}});

  const SafetensorsFile file(dir / "m.safetensors");
  EXPECT_THAT(file.names(), testing::UnorderedElementsAre("step", "blocks.0.weight", "nothing", "mask"));
  EXPECT_EQ(file.names().front(), "step") << "wide elements come first, so that all are aligned";
  EXPECT_EQ(file.metadata(), (TensorMetadata{{"format", "pt"}, {"arch", "vit"}}));
  EXPECT_EQ(file.find("block"), nullptr);
  for (const TensorEntry& entry : entries) {
    const TensorEntry& read = file.at(entry.name);
    EXPECT_EQ(read.dtype, entry.dtype);
    EXPECT_EQ(read.shape, entry.shape);
    ASSERT_EQ(read.data.size(), entry.data.size());
    EXPECT_TRUE(std::equal(read.data.begin(), read.data.end(), entry.data.begin()));
    EXPECT_EQ(reinterpret_cast<uintptr_t>(read.data.data()) % dtype_size(read.dtype), 0);
  }
  EXPECT_EQ(reinterpret_cast<uintptr_t>(file.at("step").data.data()) % 64, 0);
  EXPECT_THAT(message_of<Error>([&] { file.at("blocks.0.bias"); }), AllOf(HasSubstr("m.safetensors"), HasSubstr("blocks.0.weight")));
}

TEST(Safetensors, MovedFileKeepsItsMapping) {
  const test::TemporaryDirectory dir;
  const std::vector<float> values = {7};
  const std::vector<TensorEntry> entries = {{"a", "F32", {1}, bytes_of(values)}};
  write_safetensors(dir / "a", entries);
  SafetensorsFile first(dir / "a");
  const SafetensorsFile second(std::move(first));
  EXPECT_EQ(*reinterpret_cast<const float*>(second.at("a").data.data()), 7);
}

TEST(Safetensors, PythonReadsOursAndWeReadPythons) {
  const test::TemporaryDirectory dir;
  test::require_python("safetensors, numpy");
  if (testing::Test::IsSkipped()) return;
  const std::vector<float> weights = {1.5, -2, 3, 4, 5, 6};
  const std::vector<TensorEntry> entries = {{"w", "F32", {2, 3}, bytes_of(weights)}};
  write_safetensors(dir / "ours.safetensors", entries, {{"k", "v"}});
  test::run_python(dir.path(), R"(
import numpy as np
from safetensors import safe_open
from safetensors.numpy import save_file
with safe_open('ours.safetensors', 'np') as f:
    assert f.metadata() == {'k': 'v'}
    w = f.get_tensor('w')
assert w.dtype == np.float32 and w.tolist() == [[1.5, -2, 3], [4, 5, 6]]
save_file({'b': np.arange(5, dtype=np.int64), 'a': np.ones((2, 1), np.uint8)}, 'theirs.safetensors', {'x': 'y'})
)");
  const SafetensorsFile file(dir / "theirs.safetensors");
  EXPECT_EQ(file.at("b").shape, std::vector<int64_t>{5});
  EXPECT_EQ(static_cast<int>(file.at("b").data[8 * 4]), 4);
  EXPECT_EQ(file.at("a").dtype, "U8");
  EXPECT_EQ(file.metadata().at("x"), "y");
}

TEST(Safetensors, WriterRefusesWhatDoesNotFit) {
  const test::TemporaryDirectory dir;
  const std::vector<float> two = {1, 2};
  const auto fault = [&](const std::vector<TensorEntry>& entries) { return message_of<Error>([&] { write_safetensors(dir / "w", entries); }); };
  EXPECT_THAT(fault({{"a", "F32", {3}, bytes_of(two)}}), AllOf(HasSubstr("\"a\""), HasSubstr("needs 12")));
  EXPECT_THAT(fault({{"a", "F31", {2}, bytes_of(two)}}), HasSubstr("unknown dtype \"F31\""));
  EXPECT_THAT(fault({{"a", "F32", {-2}, bytes_of(two)}}), HasSubstr("impossible shape"));
  EXPECT_THAT(fault({{"a", "F32", {2}, bytes_of(two)}, {"a", "F32", {2}, bytes_of(two)}}), HasSubstr("is taken"));
  EXPECT_TRUE(test::names_in(dir.path()).empty()) << "nothing may be left behind";
}

struct BadFile {
  const char* name;
  std::string file;
  const char* expected;
};

class SafetensorsFault : public testing::TestWithParam<BadFile> {};

TEST_P(SafetensorsFault, IsRefusedWithItsReason) {
  EXPECT_THAT(fault_of(GetParam().file), AllOf(HasSubstr("x.safetensors: "), HasSubstr(GetParam().expected)));
}

const std::string a4 = R"("a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]})";

INSTANTIATE_TEST_SUITE_P(
    Faults, SafetensorsFault,
    testing::Values(
        BadFile{"Empty", "", "truncated"}, BadFile{"Short", "abc", "truncated"},
        BadFile{"HugeHeader", std::string("\xff\xff\xff\xff\xff\xff\xff\xff", 8) + "{}", "header would be"},
        BadFile{"HeaderCut", file_of("{}", 0).substr(0, 9), "truncated inside its header"},
        BadFile{"NotAnObject", file_of("[]", 0), "not a safetensors file"}, BadFile{"BadJson", file_of("{\"a\":", 0), "not valid JSON"},
        BadFile{"TrailingJunk", file_of("{} x", 0), "not valid JSON"},
        BadFile{"DuplicateTensor", file_of("{" + a4 + "," + a4 + "}", 4), "\"a\" is given twice"},
        BadFile{"DuplicateField", file_of(R"({"a":{"dtype":"F32","dtype":"F32","shape":[],"data_offsets":[0,4]}})", 4), "\"dtype\" is given twice"},
        BadFile{"Deep", file_of("{\"a\":" + std::string(100'000, '['), 0), "nested deeper"},
        BadFile{"DataCut", file_of("{" + a4 + "}", 3), "truncated: 3 of 4 bytes"},
        BadFile{"DataLeft", file_of("{" + a4 + "}", 5), "1 bytes after the last tensor"},
        BadFile{"Overlap", file_of("{" + a4 + R"(,"b":{"dtype":"U8","shape":[3],"data_offsets":[2,5]}})", 5), "(overlap)"},
        BadFile{"Hole", file_of("{" + a4 + R"(,"b":{"dtype":"U8","shape":[1],"data_offsets":[5,6]}})", 6), "(hole)"},
        BadFile{"HoleAtStart", file_of(R"({"b":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}})", 2), "(hole)"},
        BadFile{"WrongSize", file_of(R"({"b":{"dtype":"F32","shape":[1],"data_offsets":[0,5]}})", 5), "needs 4"},
        BadFile{"Backwards", file_of(R"({"b":{"dtype":"F32","shape":[1],"data_offsets":[4,0]}})", 4), "ends before"},
        BadFile{"Overflow", file_of(R"({"b":{"dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,0]}})", 0), "impossible shape"},
        BadFile{"NegativeShape", file_of(R"({"b":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}})", 4), "0 or more"},
        BadFile{"FractionShape", file_of(R"({"b":{"dtype":"F32","shape":[1.0],"data_offsets":[0,4]}})", 4), "0 or more"},
        BadFile{"UnknownDtype", file_of(R"({"b":{"dtype":"Q4","shape":[1],"data_offsets":[0,4]}})", 4), "unknown dtype"},
        BadFile{"UnknownKey", file_of(R"({"b":{"dtype":"U8","shape":[0],"data_offsets":[0,0],"z":1}})", 0), "unknown key"},
        BadFile{"NoShape", file_of(R"({"b":{"dtype":"U8","data_offsets":[0,0]}})", 0), "lacks \"shape\""},
        BadFile{"NotAPair", file_of(R"({"b":{"dtype":"U8","shape":[0],"data_offsets":[0]}})", 0), "not a pair"},
        BadFile{"TensorNotObject", file_of(R"({"b":3})", 0), "not described by an object"},
        BadFile{"MetadataNumber", file_of(R"({"__metadata__":{"a":1}})", 0), "not a string"}),
    [](const testing::TestParamInfo<BadFile>& info) { return info.param.name; });

TEST(Safetensors, MissingAndEmptyFiles) {
  const test::TemporaryDirectory dir;
  EXPECT_THAT(message_of<Error>([&] { SafetensorsFile(dir / "none"); }), HasSubstr("No such file"));
  put_file(dir / "empty", "");
  EXPECT_THAT(message_of<Error>([&] { SafetensorsFile(dir / "empty"); }), HasSubstr("truncated"));
  EXPECT_THAT(fault_of(file_of("{}", 0)), HasSubstr("nothing was thrown"));
}

}  // namespace
}  // namespace flowrun::io
