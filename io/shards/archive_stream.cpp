#include "io/shards/archive_stream.h"

#include <algorithm>
#include <array>
#include <dlfcn.h>

#include "io/error.h"
#include "io/shards/tar.h"

namespace flowrun::io {
namespace {

constexpr uint64_t largest_file = uint64_t{1} << 30;

/// libarchive's interface, as archive.h and archive_entry.h of version 3 have it.
struct Library {
  static constexpr int ok = 0, end = 1, warning = -20;  // ARCHIVE_OK, ARCHIVE_EOF, ARCHIVE_WARN
  static constexpr unsigned regular = 0100000;          // AE_IFREG
  void* (*open)() = nullptr;
  int (*all_filters)(void*) = nullptr;
  int (*all_formats)(void*) = nullptr;
  int (*open_file)(void*, const char*, size_t) = nullptr;
  int (*next)(void*, void**) = nullptr;
  const char* (*name_utf8)(void*) = nullptr;
  const char* (*name)(void*) = nullptr;
  unsigned (*type)(void*) = nullptr;
  const char* (*hard_link)(void*) = nullptr;
  int (*encrypted)(void*) = nullptr;
  ssize_t (*data)(void*, void*, size_t) = nullptr;
  const char* (*error)(void*) = nullptr;
  int (*close)(void*) = nullptr;
  std::string fault;  // why it is missing

  static const Library& get() {
    static const Library library = load();
    return library;
  }

 private:
  static Library load() {
    Library out;
    void* const handle = dlopen("libarchive.so.13", RTLD_NOW | RTLD_LOCAL);
    if (handle == nullptr) {
      out.fault = std::string(dlerror()) + " (Debian and Ubuntu: apt-get install libarchive13)";
      return out;
    }
    const auto find = [&](const char* name, auto& function) {
      function = reinterpret_cast<std::remove_reference_t<decltype(function)>>(dlsym(handle, name));
    };
    find("archive_read_new", out.open), find("archive_read_support_filter_all", out.all_filters);
    find("archive_read_support_format_all", out.all_formats), find("archive_read_open_filename", out.open_file);
    find("archive_read_next_header", out.next), find("archive_entry_pathname_utf8", out.name_utf8), find("archive_entry_pathname", out.name);
    find("archive_entry_filetype", out.type), find("archive_entry_hardlink", out.hard_link), find("archive_entry_is_encrypted", out.encrypted);
    find("archive_read_data", out.data), find("archive_error_string", out.error), find("archive_read_free", out.close);
    return out;
  }
};

}  // namespace

bool is_archive_name(const std::string& name) {
  static constexpr std::array endings = {".zip", ".7z", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz"};
  return std::ranges::any_of(endings, [&](const char* ending) { return name.ends_with(ending); });
}

ArchiveStream::ArchiveStream(const std::string& path) : path_(path) {
  const Library& library = Library::get();
  if (!library.fault.empty()) throw Error(path + " is read by libarchive: " + library.fault);
  archive_ = library.open();
  library.all_filters(archive_), library.all_formats(archive_);
  if (library.open_file(archive_, path.c_str(), size_t{1} << 20) == Library::ok) return;
  const char* const said = library.error(archive_);
  const std::string why = said != nullptr ? said : "no reason given";
  library.close(archive_);
  throw Error(path + " can't be read: " + why);
}

ArchiveStream::~ArchiveStream() {
  if (archive_ != nullptr) Library::get().close(archive_);
}

void ArchiveStream::fail(const std::string& inside) {
  const char* const why = Library::get().error(archive_);
  throw Error(path_ + " can't be read" + inside + ": " + (why != nullptr ? why : "no reason given"));
}

void ArchiveStream::read_data(const std::string& name) {
  data_.clear();
  for (size_t filled = 0;;) {
    data_.resize(filled + (size_t{1} << 18));
    const ssize_t got = Library::get().data(archive_, data_.data() + filled, data_.size() - filled);
    if (got < 0) fail(" in " + name);
    filled += static_cast<size_t>(got);
    data_.resize(filled);
    if (got == 0) return;
    if (filled > largest_file) throw Error(path_ + ": " + name + " has more than 1 GiB");
  }
}

/// Puts the next file's part of the tar into the buffer; behind the last one the end of a tar.
bool ArchiveStream::next_file() {
  if (done_) return false;
  const Library& library = Library::get();
  buffer_.clear(), at_ = 0;
  void* entry = nullptr;
  for (;;) {
    const int status = library.next(archive_, &entry);
    if (status == Library::end) {
      done_ = true;
      buffer_.resize(tar_end);
      return true;
    }
    if (status < Library::warning) fail("");
    if (library.type(entry) == Library::regular && library.hard_link(entry) == nullptr) break;
  }
  const char* const utf8 = library.name_utf8(entry);
  const char* const name = utf8 != nullptr ? utf8 : library.name(entry);
  if (name == nullptr) throw Error(path_ + ": a file's name can't be read");
  if (library.encrypted(entry) == 1) throw Error(path_ + ": " + name + " is encrypted: unpack it first");
  const std::string file = name;
  read_data(file);
  append_tar_file(buffer_, file, data_);
  return true;
}

size_t ArchiveStream::read(uint8_t* out, size_t size) {
  while (at_ == buffer_.size()) {
    if (!next_file()) return 0;
  }
  const size_t count = std::min(size, buffer_.size() - at_);
  std::copy_n(buffer_.begin() + static_cast<std::ptrdiff_t>(at_), count, out);
  at_ += count;
  return count;
}

}  // namespace flowrun::io
