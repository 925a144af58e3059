// Flowrun's files as Arrow's.
#pragma once

#include <arrow/buffer.h>
#include <arrow/io/interfaces.h>
#include <arrow/result.h>
#include <arrow/status.h>
#include <cstdint>
#include <memory>
#include <vector>

#include "io/stores/random_file.h"

namespace flowrun::io {

// A whole file. Errors of RandomFile become those of Arrow.
class ArrowFile final : public arrow::io::RandomAccessFile {
 public:
  explicit ArrowFile(const RandomFile& file) : file_(file) {}
  arrow::Status Close() override { return arrow::Status::OK(); }
  bool closed() const override { return false; }
  arrow::Result<int64_t> Tell() const override { return position_; }
  arrow::Status Seek(int64_t position) override;
  arrow::Result<int64_t> GetSize() override { return static_cast<int64_t>(file_.size()); }
  arrow::Result<int64_t> Read(int64_t size, void* out) override;
  arrow::Result<std::shared_ptr<arrow::Buffer>> Read(int64_t size) override;
  arrow::Result<int64_t> ReadAt(int64_t position, int64_t size, void* out) override;
  arrow::Result<std::shared_ptr<arrow::Buffer>> ReadAt(int64_t position, int64_t size) override;

 private:
  const RandomFile& file_;
  int64_t position_ = 0;
};

// Parts of a file, one behind the other.
class ArrowPieces final : public arrow::io::InputStream {
 public:
  struct Piece {
    uint64_t offset, size;
  };
  // SKIMMED: only looks ahead are read; what is read otherwise is nothing, since Arrow passes over bytes by reading them.
  ArrowPieces(const RandomFile& file, std::vector<Piece> pieces, bool skimmed = false) : file_(file), pieces_(std::move(pieces)), skimmed_(skimmed) {}
  arrow::Status Close() override { return arrow::Status::OK(); }
  bool closed() const override { return false; }
  arrow::Result<int64_t> Tell() const override { return told_; }
  arrow::Result<int64_t> Read(int64_t size, void* out) override;
  arrow::Result<std::shared_ptr<arrow::Buffer>> Read(int64_t size) override;
  arrow::Result<std::string_view> Peek(int64_t size) override;
  // Where the last look ahead began: at the header of a page.
  uint64_t looked_at() const { return looked_at_; }

 private:
  uint64_t place() const;
  void pass(uint64_t size);

  const RandomFile& file_;
  std::vector<Piece> pieces_;
  const bool skimmed_;
  std::vector<uint8_t> peeked_;
  size_t piece_ = 0;
  uint64_t done_ = 0;  // of the piece
  int64_t told_ = 0;
  uint64_t looked_at_ = 0;
};

}  // namespace flowrun::io
