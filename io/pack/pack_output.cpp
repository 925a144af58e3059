#include "io/pack/pack_output.h"

#include <cerrno>
#include <cstdio>
#include <fcntl.h>
#include <unistd.h>

#include "io/error.h"
#include "io/shards/tar.h"

namespace flowrun::io {

namespace {

namespace fs = std::filesystem;

std::span<const std::byte> as_bytes(const std::vector<uint8_t>& bytes) { return std::as_bytes(std::span(bytes)); }

class ShardOutput final : public PackOutput {
 public:
  ShardOutput(const PackSource& source, fs::path to, const PackOptions& options, PackJournal& journal)
      : source_(source), to_(std::move(to)), options_(options), journal_(journal) {
    const std::vector<uint8_t> zeros(tar_end);
    if (options.zstd) {
      append_zstd_frame(zeros, end_);
    } else {
      end_ = zeros;
    }
  }

  void make_chunk(size_t sample, PackedSample& packed) const override {
    thread_local std::vector<uint8_t> members;
    std::vector<uint8_t>& plain = options_.zstd ? members : packed.chunk;
    plain.clear(), packed.chunk.clear();
    const std::string name = packed_name(source_, sample, packed.encoded_anew);
    append_tar_file(plain, name, packed.image);
    if (const int label = source_.labels[sample]; label >= 0) {
      const std::string text = std::to_string(label);
      append_tar_file(plain, name.substr(0, key_size(name)) + ".cls", {reinterpret_cast<const uint8_t*>(text.data()), text.size()});
    }
    if (options_.zstd) append_zstd_frame(plain, packed.chunk);
  }

  void put(size_t, const PackedSample& packed) override {
    if (file_ && block_.bytes + packed.chunk.size() + end_.size() > options_.shard_bytes) finish();
    if (!file_) {
      char name[32];
      std::snprintf(name, sizeof name, "shard-%06zu.tar%s", journal_.blocks().size(), options_.zstd ? ".zst" : "");
      block_ = {.name = name};
      file_ = std::make_unique<AtomicFile>(to_ / block_.name);
    }
    file_->write(as_bytes(packed.chunk));
    block_.bytes += packed.chunk.size();
    block_.hashes.push_back(hash_of(packed.image));
  }

  void finish() override {
    if (!file_) return;
    file_->write(as_bytes(end_));
    block_.bytes += end_.size();
    file_->commit();
    file_.reset();
    journal_.add(std::move(block_));
  }

 private:
  const PackSource& source_;
  fs::path to_;
  const PackOptions& options_;
  PackJournal& journal_;
  std::vector<uint8_t> end_;
  std::unique_ptr<AtomicFile> file_;  // of the shard in work
  PackedBlock block_;
};

class FolderOutput final : public PackOutput {
 public:
  FolderOutput(const PackSource& source, fs::path to, PackJournal& journal) : source_(source), to_(std::move(to)), journal_(journal) {
    // Classes without images count when the folder is read.
    for (const std::string& name : source.classes) fs::create_directories(to_ / name);
  }

  void put(size_t sample, const PackedSample& packed) override {
    const fs::path path = to_ / packed_name(source_, sample, packed.encoded_anew);
    if (path.parent_path() != made_) fs::create_directories(made_ = path.parent_path());
    FileDescriptor file(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666));
    if (!file) throw system_error("create", path, errno);
    write_all(file.get(), as_bytes(packed.image), path);
    if (file.close() != 0) throw system_error("write", path, errno);
    block_.bytes += packed.image.size();
    block_.hashes.push_back(hash_of(packed.image));
    if (block_.hashes.size() >= files_per_block) finish();
  }

  void finish() override {
    if (block_.hashes.empty()) return;
    // One sync for thousands of files, in place of one for each.
    const FileDescriptor folder(::open(to_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!folder || syncfs(folder.get()) != 0) throw system_error("sync", to_, errno);
    journal_.add(std::exchange(block_, {}));
  }

 private:
  static constexpr size_t files_per_block = 4096;

  const PackSource& source_;
  fs::path to_, made_;
  PackJournal& journal_;
  PackedBlock block_;
};

}  // namespace

std::string packed_name(const PackSource& source, size_t sample, bool encoded_anew) {
  const std::string& name = source.names[sample];
  if (!encoded_anew) return name;
  std::string extension = name.substr(std::min(name.rfind('.'), name.size()));
  for (char& c : extension) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return extension == ".jpg" || extension == ".jpeg" ? name : name + ".jpg";
}

std::unique_ptr<PackOutput> open_pack_output(const PackSource& source, const fs::path& to, const PackOptions& options, PackJournal& journal) {
  if (options.to_folder) return std::make_unique<FolderOutput>(source, to, journal);
  return std::make_unique<ShardOutput>(source, to, options, journal);
}

}  // namespace flowrun::io
