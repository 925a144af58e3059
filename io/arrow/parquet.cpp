// Parquet by Apache's own library. Pages are found once; reading a row then reads one page, and the dictionary of its column.
#include <algorithm>
#include <arrow/util/key_value_metadata.h>
#include <map>
#include <nlohmann/json.hpp>
#include <parquet/column_reader.h>
#include <parquet/exception.h>
#include <parquet/file_reader.h>
#include <parquet/metadata.h>
#include <parquet/page_index.h>
#include <parquet/schema.h>

#include "io/arrow/adapters.h"
#include "io/arrow/module.h"
#include "io/error.h"
#include "io/json_text.h"
#include "io/tables/parquet_file.h"

namespace flowrun::io {
namespace {

class Parquet final : public ParquetFile {
 public:
  Parquet(std::unique_ptr<RandomFile> file, std::string name) : name_(std::move(name)), file_(std::move(file)) {
    guarded([&] {
      reader_ = parquet::ParquetFileReader::Open(std::make_shared<ArrowFile>(*file_));
      metadata_ = reader_->metadata();
    });
    for (int i = 0; i < metadata_->num_columns(); ++i) columns_[metadata_->schema()->Column(i)->path()->ToDotString()] = i;
  }

  int64_t rows() const override { return metadata_->num_rows(); }

  std::vector<std::string> columns() const override {
    std::vector<std::string> out;
    for (int i = 0; i < metadata_->num_columns(); ++i) out.push_back(metadata_->schema()->Column(i)->path()->ToDotString());
    return out;
  }

  std::vector<std::string> class_names(const std::string& feature) const override {
    const auto described = metadata_->key_value_metadata();
    const auto text = described ? described->Get("huggingface") : arrow::Result<std::string>(arrow::Status::KeyError(""));
    if (!text.ok()) return {};
    const nlohmann::json all = nlohmann::json::parse(*text, nullptr, /*allow_exceptions=*/false);
    const nlohmann::json::json_pointer place("/info/features/" + feature + "/names");
    if (all.is_discarded() || !all.contains(place) || !all[place].is_array()) return {};
    std::vector<std::string> out;
    for (const nlohmann::json& one : all[place]) out.push_back(one.is_string() ? one.get<std::string>() : json_text(one));
    return out;
  }

  std::vector<std::string> texts(const std::string& column) const override {
    const int c = index_of(column);
    std::vector<std::string> out;
    guarded([&] {
      for (int g = 0; g < metadata_->num_row_groups(); ++g)
        append_texts(*reader_->RowGroup(g)->Column(c), metadata_->RowGroup(g)->num_rows(), column, out);
    });
    return out;
  }

  std::vector<Page> find_pages(const std::string& column) const override {
    const int c = index_of(column);
    if (metadata_->schema()->Column(c)->physical_type() != parquet::Type::BYTE_ARRAY)
      throw Error(name_ + ": the column " + column + " holds no bytes");
    std::vector<Page> out;
    guarded([&] {
      const std::shared_ptr<parquet::PageIndexReader> indexes = reader_->GetPageIndexReader();
      int64_t first = 0;
      for (int g = 0; g < metadata_->num_row_groups(); ++g) {
        const auto of_group = indexes ? indexes->RowGroup(g) : nullptr;
        const auto index = of_group ? of_group->GetOffsetIndex(c) : nullptr;
        index ? take_index(*index, g, first, metadata_->RowGroup(g)->num_rows(), out) : walk(g, c, first, out);
        first += metadata_->RowGroup(g)->num_rows();
        const int64_t end = out.empty() ? 0 : out.back().first + out.back().rows;
        if (end != first)
          throw Error(name_ + ": pages of " + column + " hold " + std::to_string(end) + " rows where there are " + std::to_string(first));
      }
    });
    return out;
  }

  void read(const std::string& column, const Page& page, int64_t row, std::vector<uint8_t>& out) const override {
    const int c = index_of(column);
    guarded([&] {
      const auto chunk = metadata_->RowGroup(page.group)->ColumnChunk(c);
      std::vector<ArrowPieces::Piece> pieces;
      if (const auto [begin, size] = dictionary_of(*chunk); size > 0) pieces.push_back({begin, size});
      pieces.push_back({page.offset, page.size});
      auto pages = open_pages(std::make_shared<ArrowPieces>(*file_, std::move(pieces)), page.rows, *chunk, c);
      const auto reader =
          std::static_pointer_cast<parquet::ByteArrayReader>(parquet::ColumnReader::Make(metadata_->schema()->Column(c), std::move(pages)));
      reader->Skip(row - page.first);
      parquet::ByteArray value;
      int16_t level = 0;
      int64_t count = 0;
      reader->ReadBatch(1, &level, nullptr, &value, &count);
      if (count != 1) throw Error(name_ + ": row " + std::to_string(row) + " has no " + column);
      out.assign(value.ptr, value.ptr + value.len);
    });
  }

 private:
  /// Arrow's exceptions as ours, with the file's name.
  template <class Call>
  void guarded(Call&& call) const {
    try {
      call();
    } catch (const parquet::ParquetException& error) {
      throw Error(name_ + ": " + error.what());
    }
  }

  int index_of(const std::string& column) const {
    const auto found = columns_.find(column);
    if (found == columns_.end()) throw Error(name_ + " has no column " + column);
    if (metadata_->schema()->Column(found->second)->max_repetition_level() > 0) throw Error(name_ + ": the column " + column + " holds lists");
    return found->second;
  }

  static uint64_t chunk_begin(const parquet::ColumnChunkMetaData& chunk) {
    const int64_t dictionary = chunk.has_dictionary_page() ? chunk.dictionary_page_offset() : 0;
    return static_cast<uint64_t>(dictionary > 0 && dictionary < chunk.data_page_offset() ? dictionary : chunk.data_page_offset());
  }
  /// Begin and size; 0: there is none.
  static std::pair<uint64_t, uint64_t> dictionary_of(const parquet::ColumnChunkMetaData& chunk) {
    const uint64_t begin = chunk_begin(chunk);
    return {begin, static_cast<uint64_t>(chunk.data_page_offset()) - begin};
  }

  std::unique_ptr<parquet::PageReader> open_pages(std::shared_ptr<ArrowPieces> stream, int64_t values, const parquet::ColumnChunkMetaData& chunk,
                                                  int c) const {
    return parquet::PageReader::Open(std::move(stream), values, chunk.compression(), parquet::default_reader_properties(),
                                     *metadata_->schema()->Column(c));
  }

  static void take_index(const parquet::OffsetIndex& index, int group, int64_t first, int64_t rows, std::vector<Page>& out) {
    const std::vector<parquet::PageLocation>& pages = index.page_locations();
    for (size_t i = 0; i < pages.size(); ++i) {
      const int64_t next = i + 1 < pages.size() ? pages[i + 1].first_row_index : rows;
      out.push_back({first + pages[i].first_row_index, next - pages[i].first_row_index, static_cast<uint64_t>(pages[i].offset),
                     static_cast<uint64_t>(pages[i].compressed_page_size), group});
    }
  }

  /// Headers alone: each page is passed over once its header is known.
  void walk(int group, int c, int64_t first, std::vector<Page>& out) const {
    const auto chunk = metadata_->RowGroup(group)->ColumnChunk(c);
    const uint64_t begin = chunk_begin(*chunk), end = begin + static_cast<uint64_t>(chunk->total_compressed_size());
    const auto data = static_cast<uint64_t>(chunk->data_page_offset());
    const auto stream = std::make_shared<ArrowPieces>(*file_, std::vector<ArrowPieces::Piece>{{data, end - data}}, /*skimmed=*/true);
    const auto pages = open_pages(stream, chunk->num_values(), *chunk, c);
    const size_t before = out.size();
    // No page is wanted, so one call goes through all of them; its stream knows where each header began.
    pages->set_data_page_filter([&](const parquet::DataPageStats& page) {
      const uint64_t at = stream->looked_at();
      if (out.size() > before) out.back().size = at - out.back().offset;
      out.push_back({first, page.num_values, at, 0, group});
      first += page.num_values;
      return true;
    });
    while (pages->NextPage()) {
    }
    if (out.size() > before) out.back().size = end - out.back().offset;
  }

  template <class Reader, class Value, class Text>
  void append(parquet::ColumnReader& column, int64_t rows, Text&& text, std::vector<std::string>& out) const {
    auto& reader = static_cast<Reader&>(column);
    constexpr int64_t batch = 1024;
    std::vector<Value> values(batch);
    std::vector<int16_t> levels(batch);
    for (int64_t done = 0; done < rows;) {
      int64_t count = 0;
      const int64_t got = reader.ReadBatch(std::min(batch, rows - done), levels.data(), nullptr, values.data(), &count);
      if (got == 0 && count == 0) throw Error(name_ + ": a column ends before its rows");
      const int16_t whole = column.descr()->max_definition_level();
      int64_t next = 0;
      for (int64_t i = 0; i < std::max(got, count); ++i)
        out.push_back(whole == 0 || levels[static_cast<size_t>(i)] == whole ? text(values[static_cast<size_t>(next++)]) : "");
      done += std::max(got, count);
    }
  }

  void append_texts(parquet::ColumnReader& column, int64_t rows, const std::string& name, std::vector<std::string>& out) const {
    switch (column.type()) {
      case parquet::Type::BYTE_ARRAY:
        return append<parquet::ByteArrayReader, parquet::ByteArray>(
            column, rows, [](const parquet::ByteArray& value) { return std::string(reinterpret_cast<const char*>(value.ptr), value.len); }, out);
      case parquet::Type::INT32:
        return append<parquet::Int32Reader, int32_t>(
            column, rows, [](int32_t value) { return std::to_string(value); }, out);
      case parquet::Type::INT64:
        return append<parquet::Int64Reader, int64_t>(
            column, rows, [](int64_t value) { return std::to_string(value); }, out);
      default:
        throw Error(name_ + ": the column " + name + " holds neither texts nor whole numbers");
    }
  }

  const std::string name_;
  const std::unique_ptr<RandomFile> file_;
  std::unique_ptr<parquet::ParquetFileReader> reader_;
  std::shared_ptr<parquet::FileMetaData> metadata_;
  std::map<std::string, int> columns_;
};

}  // namespace

std::unique_ptr<ParquetFile> open_parquet_file(std::unique_ptr<RandomFile> file, const std::string& name) {
  return std::make_unique<Parquet>(std::move(file), name);
}

}  // namespace flowrun::io
