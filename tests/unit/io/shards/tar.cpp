#include "io/shards/tar.h"

#include <gmock/gmock.h>

#include "io/error.h"
#include "support/io_files.h"
#include "support/io_python.h"

namespace flowrun::io {
namespace {

using Bytes = std::vector<uint8_t>;
using testing::HasSubstr;

struct Read {
  TarMember member;
  Bytes data;
};

std::vector<Read> read_all(std::span<const uint8_t> archive) {
  SpanStream stream(archive);
  TarReader reader(stream, "a.tar");
  std::vector<Read> out;
  for (TarMember member; reader.next(member);) {
    out.push_back({member, {}});
    if (member.kind == TarMember::Kind::file) reader.read(out.back().data);
  }
  return out;
}

Bytes content(size_t size) {
  Bytes out(size);
  for (size_t i = 0; i < size; ++i) out[i] = static_cast<uint8_t>(i * 31 % 251 + size);
  return out;
}

Bytes archive_of(const std::vector<std::pair<std::string, size_t>>& files) {
  Bytes out;
  for (const auto& [name, size] : files) append_tar_file(out, name, content(size));
  out.resize(out.size() + tar_end);
  return out;
}

std::string fault(std::span<const uint8_t> archive) {
  return test::message_of<Error>([&] { read_all(archive); });
}

/// Makes the checksum of the header at `offset` right again.
void repair(Bytes& archive, size_t offset) {
  std::fill_n(archive.begin() + static_cast<std::ptrdiff_t>(offset) + 148, 8, ' ');
  uint64_t sum = 0;
  for (size_t i = 0; i < tar_block; ++i) sum += archive[offset + i];
  char digits[8];
  std::snprintf(digits, sizeof digits, "%06o", static_cast<unsigned>(sum));
  std::copy_n(digits, 7, archive.begin() + static_cast<std::ptrdiff_t>(offset) + 148);
}

const std::vector<std::string> odd_names = {"a.jpg",
                                            "class 1/über.jpg",
                                            std::string(100, 'n'),
                                            std::string(60, 'd') + "/" + std::string(80, 'n') + ".jpg",  // fits prefix and name
                                            std::string(155, 'd') + "/" + std::string(100, 'n'),         // just so
                                            std::string(156, 'd') + "/" + std::string(100, 'n'),         // just not
                                            std::string(101, 'n'),
                                            "/" + std::string(100, 'n'),
                                            std::string(3000, 'x') + "/y"};

TEST(Tar, ReadsWhatItWrites) {
  std::vector<std::pair<std::string, size_t>> files;
  for (size_t i = 0; i < odd_names.size(); ++i) files.emplace_back(odd_names[i], i * 511);
  const Bytes archive = archive_of(files);
  const std::vector<Read> read = read_all(archive);
  ASSERT_EQ(read.size(), files.size());
  for (size_t i = 0; i < read.size(); ++i) {
    EXPECT_EQ(read[i].member.name, files[i].first);
    EXPECT_EQ(read[i].data, content(files[i].second));
    const auto begin = archive.begin() + static_cast<std::ptrdiff_t>(read[i].member.offset);
    EXPECT_EQ(Bytes(begin, begin + static_cast<std::ptrdiff_t>(read[i].member.size)), read[i].data) << "the place of the data";
  }
}

TEST(Tar, DataThatIsNotReadIsPassedOver) {
  const Bytes archive = archive_of({{"a", 1000}, {"b", 512}, {"c", 0}, {"d", 1}});
  SpanStream stream(archive);
  TarReader reader(stream, "a.tar");
  std::string names;
  for (TarMember member; reader.next(member);) names += member.name;
  EXPECT_EQ(names, "abcd");
  TarMember member;
  EXPECT_FALSE(reader.next(member)) << "the end stays the end";
}

TEST(Tar, PythonReadsIt) {
  test::require_python("tarfile");
  if (testing::Test::IsSkipped()) return;
  const test::TemporaryDirectory dir;
  std::vector<std::pair<std::string, size_t>> files;
  for (size_t i = 0; i < odd_names.size(); ++i) files.emplace_back(odd_names[i], i * 511);
  const Bytes archive = archive_of(files);
  test::put_file(dir / "a.tar", {reinterpret_cast<const char*>(archive.data()), archive.size()});
  std::string names;
  for (const std::string& name : odd_names) names += name + "\n";
  test::put_file(dir / "names", names);
  test::run_python(dir.path(), R"(
import tarfile
names = open("names", encoding="utf-8").read().splitlines()
with tarfile.open("a.tar", "r:") as archive:
    members = archive.getmembers()
    # Python takes leading slashes off.
    assert [m.name for m in members] == [n.lstrip("/") for n in names] or [m.name for m in members] == names, [m.name for m in members]
    for index, member in enumerate(members):
        size = index * 511
        assert archive.extractfile(member).read() == bytes((i * 31 % 251 + size) % 256 for i in range(size))
        assert (member.mode, member.mtime, member.uid, member.gid, member.uname) == (0o644, 0, 0, 0, "")
)");
}

TEST(Tar, ReadsPythonsFormats) {
  test::require_python("tarfile");
  if (testing::Test::IsSkipped()) return;
  const test::TemporaryDirectory dir;
  test::run_python(dir.path(), R"(
import io, json, tarfile
long = "d" * 90 + "/" + "n" * 90 + ".jpg"
names = ["a.jpg", "x/b.jpg", long, "y/c.jpg"]
for kind, more in ((tarfile.USTAR_FORMAT, []), (tarfile.GNU_FORMAT, ["e" * 300 + "/\u00fc.jpg"]), (tarfile.PAX_FORMAT, ["e" * 300 + "/\u00fc.jpg"])):
    with tarfile.open(f"{kind}.tar", "w", format=kind, pax_headers={"comment": "global"} if kind == tarfile.PAX_FORMAT else None) as archive:
        def add(name, type=tarfile.REGTYPE, data=b"", **fields):
            info = tarfile.TarInfo(name)
            info.type, info.size, info.mtime, info.uname = type, len(data), 1.5, "someone"
            for key, value in fields.items():
                setattr(info, key, value)
            archive.addfile(info, io.BytesIO(data))
        add("folder", tarfile.DIRTYPE)
        for index, name in enumerate(names + more):
            add(name, data=bytes((index + i) % 256 for i in range(700 * index)))
        add("pipe", tarfile.FIFOTYPE)
        add("link.jpg", tarfile.SYMTYPE, linkname="a.jpg")
        add("same.jpg", tarfile.LNKTYPE, linkname="z" * 200 if kind != tarfile.USTAR_FORMAT else "a.jpg")
    # Where Python itself finds the data.
    with tarfile.open(f"{kind}.tar") as archive:
        lines = [f"{m.name}|{m.offset_data}|{m.size}" for m in archive if m.isreg()] + ["link.jpg|link", "same.jpg|link"]
        open(f"{kind}.txt", "w", encoding="utf-8").write("".join(line + "\n" for line in lines))
)");
  for (const std::string format : {"0", "1", "2"}) {
    const std::string text = test::get_file(dir / (format + ".tar"));
    ASSERT_FALSE(text.empty());
    std::string got;
    for (const Read& read : read_all({reinterpret_cast<const uint8_t*>(text.data()), text.size()})) {
      const TarMember& m = read.member;
      got += m.name + (m.kind == TarMember::Kind::link ? "|link" : "|" + std::to_string(m.offset) + "|" + std::to_string(m.size)) + "\n";
    }
    EXPECT_EQ(got, test::get_file(dir / (format + ".txt"))) << "format " << format;
  }
}

TEST(Tar, LargeSizesInBothNotations) {
  constexpr uint64_t size = uint64_t{9} << 30;
  Bytes pax;
  append_tar_header(pax, "big", size);
  Bytes gnu;
  append_tar_header(gnu, "big", 0);
  std::fill_n(gnu.begin() + 124, 12, 0);
  gnu[124] = 0x80;
  for (int i = 0; i < 8; ++i) gnu[static_cast<size_t>(135 - i)] = static_cast<uint8_t>(size >> 8 * i);
  repair(gnu, 0);
  for (const Bytes& archive : {pax, gnu}) {
    SpanStream stream(archive);
    TarReader reader(stream, "a.tar");
    TarMember member;
    ASSERT_TRUE(reader.next(member));
    EXPECT_EQ(member.size, size);
    Bytes data;
    EXPECT_THAT(test::message_of<Error>([&] { reader.read(data); }), HasSubstr("a.tar is cut short: it ends inside big"));
    EXPECT_LE(data.capacity(), size_t{1} << 24) << "memory follows what is there";
  }
}

TEST(Tar, WhatIsCutShortSaysWhere) {
  const Bytes whole = archive_of({{"a.jpg", 1000}, {"b.jpg", 10}});
  const std::span<const uint8_t> bytes(whole);
  EXPECT_EQ(fault(bytes.first(0)), "a.tar is empty, not a tar archive");
  EXPECT_EQ(fault(bytes.first(100)), "a.tar is cut short: it ends inside a header, after 100 bytes; fetch or write it again");
  EXPECT_EQ(fault(bytes.first(900)), "a.tar is cut short: it ends inside a.jpg, after 900 bytes; fetch or write it again");
  EXPECT_EQ(fault(bytes.first(1530)), "a.tar is cut short: it ends inside a.jpg, after 1530 bytes; fetch or write it again") << "in the padding";
  EXPECT_EQ(fault(bytes.first(1536)), "a.tar is cut short: it ends without tar's end mark, after 1536 bytes; fetch or write it again");
  EXPECT_EQ(read_all(bytes.first(whole.size() - tar_block)).size(), 2u) << "one zero block is enough";
}

TEST(Tar, WhatIsDamagedSaysWhere) {
  const Bytes whole = archive_of({{"a.jpg", 1000}, {"b.jpg", 10}});
  Bytes bytes = whole;
  bytes[10] = 'x';
  EXPECT_EQ(fault(bytes), "a.tar is not a tar archive: its first header has a wrong checksum");
  bytes = whole;
  bytes[1536 + 3] ^= 1;
  EXPECT_EQ(fault(bytes), "a.tar: damaged: a header has a wrong checksum (byte 1536)");
  for (const char* size :
       {"8", "-1", "12 3", "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", "\x80\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"}) {
    bytes = whole;
    std::fill_n(bytes.begin() + 124, 12, 0);
    std::copy_n(size, std::string_view(size).size(), bytes.begin() + 124);
    repair(bytes, 0);
    EXPECT_EQ(fault(bytes), "a.tar: damaged: the size of a member is no number (byte 0)") << size;
  }
  bytes = whole;
  bytes.insert(bytes.end(), whole.begin(), whole.end());
  EXPECT_THAT(fault(bytes), HasSubstr("there are data after the end mark"));
  bytes = whole;
  bytes[156] = 'S';
  repair(bytes, 0);
  EXPECT_EQ(fault(bytes), "a.tar: a.jpg is stored as a sparse file; write the archive without --sparse (byte 0)");
}

TEST(Tar, PaxRecordsAreChecked) {
  const auto with = [](const std::string& records) {
    Bytes out;
    append_tar_file(out, "PaxHeader", {reinterpret_cast<const uint8_t*>(records.data()), records.size()});
    out[156] = 'x';
    repair(out, 0);
    append_tar_file(out, "short", content(20));
    out.resize(out.size() + tar_end);
    return out;
  };

  EXPECT_EQ(read_all(with("16 path=a/b.jpg\n"))[0].member.name, "a/b.jpg");
  EXPECT_EQ(read_all(with("16 path=a/b.jpg\n10 size=7\n"))[0].data.size(), 7u);
  for (const char* records : {"99 path=a\n", "3 \n", "path=a\n", "18446744073709551617 path=a\n", "0 path=a\n", "-5 path=a\n", "10 path=abc"}) {
    EXPECT_EQ(fault(with(records)), "a.tar: damaged: a pax record has a wrong length (byte 512)") << records;
  }
  EXPECT_EQ(fault(with("7 path\n")), "a.tar: damaged: a pax record has no \"=\" (byte 512)");
  EXPECT_EQ(fault(with("12 size=-10\n")), "a.tar: damaged: the size of a member is no number (byte 1024)");
  EXPECT_THAT(fault(with("22 GNU.sparse.major=1\n")), HasSubstr("sparse"));
  EXPECT_EQ(fault(with(std::string("10 path=") + '\0' + "\n")), "a.tar: a name with a zero byte (byte 1024)");
}

TEST(Tar, NamesThatCannotBeWritten) {
  Bytes out;
  EXPECT_THAT(test::message_of<Error>([&] { append_tar_header(out, "", 0); }), HasSubstr("needs a name"));
  EXPECT_THAT(test::message_of<Error>([&] { append_tar_header(out, std::string_view("a\0b", 3), 0); }), HasSubstr("zero byte"));
}

}  // namespace
}  // namespace flowrun::io
