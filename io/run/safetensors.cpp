#include "io/run/safetensors.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cerrno>
#include <cstring>
#include <numeric>
#include <sys/mman.h>
#include <sys/stat.h>
#include <utility>

#include "io/error.h"
#include "io/file.h"
#include "io/json_text.h"
#include "io/strict_json.h"

namespace flowrun::io {

namespace {

static_assert(std::endian::native == std::endian::little, "tensor bytes are written as they lie in memory");

using Json = nlohmann::json;

constexpr size_t length_bytes = 8;
constexpr size_t alignment = 64;
constexpr uint64_t longest_header = 100'000'000;  // the limit of the reference implementation

struct Dtype {
  std::string_view name;
  size_t size;
};
constexpr std::array dtypes = {Dtype{"F64", 8}, Dtype{"I64", 8},  Dtype{"U64", 8},     Dtype{"C64", 8},     Dtype{"F32", 4},    Dtype{"I32", 4},
                               Dtype{"U32", 4}, Dtype{"F16", 2},  Dtype{"BF16", 2},    Dtype{"I16", 2},     Dtype{"U16", 2},    Dtype{"I8", 1},
                               Dtype{"U8", 1},  Dtype{"BOOL", 1}, Dtype{"F8_E4M3", 1}, Dtype{"F8_E5M2", 1}, Dtype{"F8_E8M0", 1}};

// Bytes of a tensor, from its shape; throws on an unknown dtype, a negative size and on overflow.
uint64_t tensor_bytes(const std::string& where, const TensorEntry& entry) {
  const std::string about = where + ": tensor \"" + entry.name + "\"";
  const size_t size = dtype_size(entry.dtype);
  if (size == 0) throw Error(about + " has the unknown dtype \"" + entry.dtype + "\"");
  uint64_t bytes = size;
  for (const int64_t extent : entry.shape) {
    if (extent < 0 || __builtin_mul_overflow(bytes, static_cast<uint64_t>(extent), &bytes)) {
      throw Error(about + " has an impossible shape");
    }
  }
  return bytes;
}

uint64_t natural_number(const Json& value, const std::string& about) {
  if (!value.is_number_unsigned()) throw Error(about + " should be a whole number of 0 or more, not " + json_text(value));
  return value.get<uint64_t>();
}

const Json& field(const Json& tensor, const char* name, const std::string& about) {
  const auto place = tensor.find(name);
  if (place == tensor.end()) throw Error(about + " lacks \"" + name + "\"");
  return *place;
}

TensorMetadata read_metadata(const Json& value, const std::string& where) {
  if (!value.is_object()) throw Error(where + ": __metadata__ is not an object");
  TensorMetadata metadata;
  for (const auto& [key, text] : value.items()) {
    if (!text.is_string()) throw Error(where + ": __metadata__." + key + " is not a string");
    metadata.emplace(key, text.get<std::string>());
  }
  return metadata;
}

struct Placed {
  TensorEntry entry;
  uint64_t begin = 0;
  uint64_t end = 0;
};

Placed read_entry(const std::string& name, const Json& value, const std::string& where) {
  const std::string about = where + ": tensor \"" + name + "\"";
  if (!value.is_object()) throw Error(about + " is not described by an object");
  for (const auto& [key, unused] : value.items()) {
    if (key != "dtype" && key != "shape" && key != "data_offsets") throw Error(about + " has an unknown key: " + key);
  }
  Placed placed;
  placed.entry.name = name;
  const Json& dtype = field(value, "dtype", about);
  if (!dtype.is_string()) throw Error(about + ": dtype is not a string");
  placed.entry.dtype = dtype.get<std::string>();
  const Json& shape = field(value, "shape", about);
  if (!shape.is_array()) throw Error(about + ": shape is not a list");
  for (const Json& extent : shape) {
    const uint64_t number = natural_number(extent, about + ": shape");
    if (number > INT64_MAX) throw Error(about + " has an impossible shape");
    placed.entry.shape.push_back(static_cast<int64_t>(number));
  }
  const Json& offsets = field(value, "data_offsets", about);
  if (!offsets.is_array() || offsets.size() != 2) throw Error(about + ": data_offsets is not a pair");
  placed.begin = natural_number(offsets[0], about + ": data_offsets");
  placed.end = natural_number(offsets[1], about + ": data_offsets");
  if (placed.begin > placed.end) throw Error(about + " ends before it begins");
  if (placed.end - placed.begin != tensor_bytes(where, placed.entry)) {
    throw Error(about + " has " + std::to_string(placed.end - placed.begin) + " bytes, but " + placed.entry.dtype + " x shape needs " +
                std::to_string(tensor_bytes(where, placed.entry)));
  }
  return placed;
}

// Sorted by offset, tensors must touch: a gap may hide data, an overlap lets one tensor change with another.
void check_packed(const std::vector<Placed>& placed, uint64_t data_bytes, const std::string& where) {
  uint64_t expected = 0;
  for (const Placed& tensor : placed) {
    if (tensor.begin != expected) {
      throw Error(where + ": tensor \"" + tensor.entry.name + "\" begins at byte " + std::to_string(tensor.begin) +
                  " of the data, but the one before ends at " + std::to_string(expected) + (tensor.begin < expected ? " (overlap)" : " (hole)"));
    }
    expected = tensor.end;
  }
  if (expected > data_bytes) {
    throw Error(where + ": truncated: " + std::to_string(data_bytes) + " of " + std::to_string(expected) + " bytes of data are there");
  }
  if (expected < data_bytes) {
    throw Error(where + ": " + std::to_string(data_bytes - expected) + " bytes after the last tensor");
  }
}

}  // namespace

size_t dtype_size(std::string_view dtype) {
  const auto* const place = std::find_if(dtypes.begin(), dtypes.end(), [&](const Dtype& d) { return d.name == dtype; });
  return place == dtypes.end() ? 0 : place->size;
}

SafetensorsContent parse_safetensors(std::span<const std::byte> bytes, const std::string& where) {
  if (bytes.size() < length_bytes) throw Error(where + ": truncated: too short for a safetensors file");
  uint64_t header_bytes = 0;
  std::memcpy(&header_bytes, bytes.data(), length_bytes);
  if (header_bytes > longest_header) {
    throw Error(where + ": not a safetensors file: the header would be " + std::to_string(header_bytes) + " bytes long");
  }
  if (header_bytes > bytes.size() - length_bytes) throw Error(where + ": truncated inside its header");
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()) + length_bytes, header_bytes);
  if (!text.starts_with('{')) throw Error(where + ": not a safetensors file: no JSON object at byte 8");
  const std::span<const std::byte> data = bytes.subspan(length_bytes + header_bytes);

  const Json header = parse_strict_json(text, where);
  SafetensorsContent content;
  std::vector<Placed> placed;
  for (const auto& [name, value] : header.items()) {
    if (name == "__metadata__") {
      content.metadata = read_metadata(value, where);
    } else {
      placed.push_back(read_entry(name, value, where));
    }
  }
  std::stable_sort(placed.begin(), placed.end(),
                   [](const Placed& a, const Placed& b) { return std::pair(a.begin, a.end) < std::pair(b.begin, b.end); });
  check_packed(placed, data.size(), where);
  for (Placed& tensor : placed) {
    tensor.entry.data = data.subspan(tensor.begin, tensor.end - tensor.begin);
    content.entries.push_back(std::move(tensor.entry));
  }
  return content;
}

SafetensorsHead safetensors_head(const std::string& where, std::span<const TensorEntry> entries, const TensorMetadata& metadata) {
  SafetensorsHead out{.text = "", .begin = std::vector<uint64_t>(entries.size()), .order = std::vector<size_t>(entries.size())};
  std::iota(out.order.begin(), out.order.end(), size_t{0});
  std::stable_sort(out.order.begin(), out.order.end(),
                   [&](size_t a, size_t b) { return dtype_size(entries[a].dtype) > dtype_size(entries[b].dtype); });

  Json header = Json::object();
  if (!metadata.empty()) header["__metadata__"] = metadata;
  uint64_t offset = 0;
  for (const size_t i : out.order) {
    const TensorEntry& entry = entries[i];
    const uint64_t bytes = tensor_bytes(where, entry);
    if (entry.name == "__metadata__" || header.contains(entry.name)) {
      throw Error(where + ": the tensor name \"" + entry.name + "\" is taken");
    }
    header[entry.name] = {{"dtype", entry.dtype}, {"shape", entry.shape}, {"data_offsets", {offset, offset + bytes}}};
    out.begin[i] = offset;
    offset += bytes;
  }
  std::string text = json_text(header);
  const size_t used = length_bytes + text.size();
  text.append((alignment - used % alignment) % alignment, ' ');
  if (text.size() > longest_header) throw Error(where + ": too many tensors: the header would exceed 100 MB");

  const uint64_t header_bytes = text.size();
  out.text.assign(reinterpret_cast<const char*>(&header_bytes), length_bytes);
  out.text += text;
  for (uint64_t& begin : out.begin) begin += out.text.size();
  return out;
}

void stream_safetensors(const std::string& where, std::span<const TensorEntry> entries, const TensorMetadata& metadata, const ByteSink& sink) {
  const SafetensorsHead head = safetensors_head(where, entries, metadata);
  for (const TensorEntry& entry : entries) {
    if (const uint64_t bytes = tensor_bytes(where, entry); bytes != entry.data.size()) {
      throw Error(where + ": tensor \"" + entry.name + "\" was given " + std::to_string(entry.data.size()) + " bytes, but dtype x shape needs " +
                  std::to_string(bytes));
    }
  }
  sink(std::as_bytes(std::span(head.text)));
  for (const size_t i : head.order) sink(entries[i].data);
}

void write_safetensors(const std::filesystem::path& path, std::span<const TensorEntry> entries, const TensorMetadata& metadata) {
  AtomicFile file(path);
  stream_safetensors(path.string(), entries, metadata, [&](std::span<const std::byte> bytes) { file.write(bytes); });
  file.commit();
}

namespace {

// Throws Error on files of weights in other formats, with the command that converts them to safetensors.
void refuse_other_formats(std::span<const std::byte> bytes, const std::string& where) {
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), std::min<size_t>(bytes.size(), 4096));
  const bool zip = text.starts_with("PK\x03\x04"),
             pickle = text.starts_with("\x80\x02") || text.starts_with("\x80\x03") || text.starts_with("\x80\x04");
  if ((zip && text.find(".npy") == std::string_view::npos) || pickle) {
    throw Error(
        where +
        " is a PyTorch file (.pth, .pt, .bin). This command converts it to a safetensors file (docs/weights.md):\n  python -c \"import sys, torch; "
        "from safetensors.torch import save_file; f = torch.load(sys.argv[1], map_location='cpu', weights_only=True); f = next((f[k] for k in "
        "('target_encoder', 'teacher', 'model', 'state_dict') if k in f), f); save_file({k: v.contiguous().clone() for k, v in f.items() if "
        "torch.is_tensor(v)}, sys.argv[2])\" " +
        where + " OUT.safetensors");
  }
  const char* const other = text.starts_with("\x93NUMPY") || zip ? "a NumPy file" : text.starts_with("\x89HDF") ? "an HDF5 file" : nullptr;
  if (other != nullptr)
    throw Error(where + " is " + other + ", not safetensors: write its arrays with safetensors.numpy.save_file (docs/weights.md)");
}

}  // namespace

SafetensorsFile::SafetensorsFile(const std::filesystem::path& path) : path_(path.string()) {
  const FileDescriptor file = open_regular_file(path);
  struct stat status {};
  if (fstat(file.get(), &status) != 0) throw system_error("examine", path, errno);
  const auto size = static_cast<size_t>(status.st_size);
  if (size > 0) {
    void* const start = mmap(nullptr, size, PROT_READ, MAP_PRIVATE, file.get(), 0);
    if (start == MAP_FAILED) throw system_error("map", path, errno);
    mapping_ = {static_cast<const std::byte*>(start), size};
  }
  try {
    refuse_other_formats(mapping_, path_);
    SafetensorsContent content = parse_safetensors(mapping_, path_);
    entries_ = std::move(content.entries);
    metadata_ = std::move(content.metadata);
    for (size_t i = 0; i < entries_.size(); ++i) index_.emplace(entries_[i].name, i);
  } catch (...) {
    if (!mapping_.empty()) munmap(const_cast<std::byte*>(mapping_.data()), mapping_.size());
    throw;
  }
}

SafetensorsFile::SafetensorsFile(SafetensorsFile&& other) noexcept { *this = std::move(other); }

SafetensorsFile& SafetensorsFile::operator=(SafetensorsFile&& other) noexcept {
  std::swap(path_, other.path_);
  std::swap(mapping_, other.mapping_);
  std::swap(entries_, other.entries_);
  std::swap(index_, other.index_);
  std::swap(metadata_, other.metadata_);
  return *this;
}

SafetensorsFile::~SafetensorsFile() {
  if (!mapping_.empty()) munmap(const_cast<std::byte*>(mapping_.data()), mapping_.size());
}

std::vector<std::string> SafetensorsFile::names() const {
  std::vector<std::string> names;
  for (const TensorEntry& entry : entries_) names.push_back(entry.name);
  return names;
}

const TensorEntry* SafetensorsFile::find(std::string_view name) const {
  const auto place = index_.find(name);
  return place == index_.end() ? nullptr : &entries_[place->second];
}

const TensorEntry& SafetensorsFile::at(std::string_view name) const {
  if (const TensorEntry* entry = find(name)) return *entry;
  std::string text = path_ + ": no tensor \"" + std::string(name) + "\" among its " + std::to_string(entries_.size());
  // The neighbours in alphabetical order usually show how the names of this file are built.
  auto near = index_.lower_bound(name);
  if (near == index_.end() && !index_.empty()) --near;
  if (near != index_.end()) text += ", such as \"" + near->first + "\"";
  throw Error(text);
}

}  // namespace flowrun::io
