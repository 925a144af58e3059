#include "io/arrow/adapters.h"

#include <algorithm>

#include "io/error.h"

namespace flowrun::io {
namespace {

arrow::Status read(const RandomFile& file, uint64_t offset, uint64_t size, void* out) {
  try {
    file.read(offset, {static_cast<uint8_t*>(out), static_cast<size_t>(size)});
  } catch (const std::exception& error) {
    return arrow::Status::IOError(error.what());
  }
  return arrow::Status::OK();
}

}  // namespace

arrow::Status ArrowFile::Seek(int64_t position) {
  position_ = position;
  return arrow::Status::OK();
}

arrow::Result<int64_t> ArrowFile::Read(int64_t size, void* out) {
  ARROW_ASSIGN_OR_RAISE(const int64_t count, ReadAt(position_, size, out));
  position_ += count;
  return count;
}

arrow::Result<std::shared_ptr<arrow::Buffer>> ArrowFile::Read(int64_t size) {
  ARROW_ASSIGN_OR_RAISE(auto out, ReadAt(position_, size));
  position_ += out->size();
  return out;
}

arrow::Result<int64_t> ArrowFile::ReadAt(int64_t position, int64_t size, void* out) {
  const auto all = static_cast<int64_t>(file_.size());
  const int64_t count = std::max<int64_t>(0, std::min(size, all - position));
  ARROW_RETURN_NOT_OK(read(file_, static_cast<uint64_t>(position), static_cast<uint64_t>(count), out));
  return count;
}

arrow::Result<std::shared_ptr<arrow::Buffer>> ArrowFile::ReadAt(int64_t position, int64_t size) {
  const auto all = static_cast<int64_t>(file_.size());
  ARROW_ASSIGN_OR_RAISE(std::unique_ptr<arrow::Buffer> out, arrow::AllocateBuffer(std::max<int64_t>(0, std::min(size, all - position))));
  ARROW_RETURN_NOT_OK(ReadAt(position, out->size(), out->mutable_data()).status());
  return out;
}

uint64_t ArrowPieces::place() const { return piece_ < pieces_.size() ? pieces_[piece_].offset + done_ : 0; }

void ArrowPieces::pass(uint64_t size) {
  told_ += static_cast<int64_t>(size);
  while (size > 0 && piece_ < pieces_.size()) {
    const uint64_t step = std::min(size, pieces_[piece_].size - done_);
    done_ += step, size -= step;
    if (done_ == pieces_[piece_].size) ++piece_, done_ = 0;
  }
}

arrow::Result<std::string_view> ArrowPieces::Peek(int64_t size) {
  const uint64_t count = piece_ < pieces_.size() ? std::min(static_cast<uint64_t>(size), pieces_[piece_].size - done_) : 0;
  peeked_.resize(static_cast<size_t>(count));
  looked_at_ = place();
  if (count > 0) ARROW_RETURN_NOT_OK(read(file_, place(), count, peeked_.data()));
  return std::string_view(reinterpret_cast<const char*>(peeked_.data()), peeked_.size());
}

arrow::Result<int64_t> ArrowPieces::Read(int64_t size, void* out) {
  int64_t done = 0;
  while (done < size && piece_ < pieces_.size()) {
    const uint64_t step = std::min(static_cast<uint64_t>(size - done), pieces_[piece_].size - done_);
    ARROW_RETURN_NOT_OK(read(file_, place(), step, static_cast<uint8_t*>(out) + done));
    pass(step);
    done += static_cast<int64_t>(step);
  }
  return done;
}

arrow::Result<std::shared_ptr<arrow::Buffer>> ArrowPieces::Read(int64_t size) {
  if (skimmed_) {
    pass(static_cast<uint64_t>(size));
    return std::make_shared<arrow::Buffer>(nullptr, 0);
  }
  ARROW_ASSIGN_OR_RAISE(std::unique_ptr<arrow::ResizableBuffer> out, arrow::AllocateResizableBuffer(size));
  ARROW_ASSIGN_OR_RAISE(const int64_t count, Read(size, out->mutable_data()));
  ARROW_RETURN_NOT_OK(out->Resize(count));
  return std::shared_ptr<arrow::Buffer>(std::move(out));
}

}  // namespace flowrun::io
