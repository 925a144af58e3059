// Tensors for tests of the model layer: made by PyTorch (tests/reference), read from and written to safetensors.
#pragma once

#include <ATen/ops/empty.h>
#include <ATen/ops/from_blob.h>
#include <array>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>
#include <stdexcept>
#include <string>
#include <unistd.h>
#include <vector>

#include "graph/contract/rng.h"
#include "io/run/safetensors.h"
#include "nodes/lib/tensor/tensor.h"
#include "tests/support/places.h"

namespace flowrun::test {

using TensorMap = std::map<std::string, Tensor>;

inline TensorMap load_tensors(const std::filesystem::path& path) {
  const std::map<std::string, at::ScalarType> types{{"F64", at::kDouble}, {"F32", at::kFloat}, {"I64", at::kLong}};
  const io::SafetensorsFile file(path);
  TensorMap tensors;
  for (const auto& entry : file.entries()) {
    Tensor tensor = at::empty(entry.shape, types.at(entry.dtype));
    std::memcpy(tensor.mutable_data_ptr(), entry.data.data(), entry.data.size());
    tensors.emplace(entry.name, std::move(tensor));
  }
  return tensors;
}

inline void save_tensors(const std::filesystem::path& path, const TensorMap& tensors, const io::TensorMetadata& metadata) {
  std::vector<Tensor> kept;
  std::vector<io::TensorEntry> entries;
  for (const auto& [name, tensor] : tensors) {
    kept.push_back(tensor.detach().to(at::kFloat).contiguous());
    const Tensor& dense = kept.back();
    entries.push_back({name, "F32", dense.sizes().vec(), {static_cast<const std::byte*>(dense.const_data_ptr()), dense.nbytes()}});
  }
  io::write_safetensors(path, entries, metadata);
}

struct Ran {
  int status;
  std::string output;  ///< standard output and error
};

inline Ran run_python(const std::string& script, const std::string& argument) {
  const std::string command =
      std::string(FLOWRUN_PYTHON) + " -B " + (source_dir() / "tests/reference" / script).string() + " '" + argument + "' 2>&1";
  FILE* pipe = popen(command.c_str(), "r");
  if (!pipe) throw std::runtime_error("cannot run " + command);
  std::string output;
  std::array<char, 4096> buffer;
  while (const size_t n = fread(buffer.data(), 1, buffer.size(), pipe)) output.append(buffer.data(), n);
  return {pclose(pipe), output};
}

/// Whether the output says that Python or a package is not installed: a reason to skip, not a failure.
inline bool python_missing(const Ran& ran) { return ran.output.find("ModuleNotFoundError") != std::string::npos || ran.status == 127 << 8; }

inline std::filesystem::path fresh_folder(const std::string& name) {
  std::string path = (std::filesystem::temp_directory_path() / (name + "-XXXXXX")).string();
  if (!mkdtemp(path.data())) throw std::runtime_error("cannot make a folder like " + path);
  return path;
}

/// Folder of the tensors that a script of tests/reference writes, made once per version of the scripts and shared by
/// test processes. Empty, with `missing` set, where there is no Python or no package for it.
inline std::filesystem::path reference_folder(std::string& missing, const std::string& script = "make_reference.py") {
  std::ostringstream sources;
  for (const std::string& name : {std::string("twin.py"), std::string("make_reference.py"), script}) {
    sources << std::ifstream(source_dir() / "tests/reference" / name).rdbuf();
  }
  const auto key = std::to_string(hash_text(sources.str() + script + FLOWRUN_PYTHON));
  const auto folder = std::filesystem::temp_directory_path() / ("flowrun-reference-" + key);
  if (std::filesystem::exists(folder)) return folder;
  const auto fresh = fresh_folder("flowrun-reference");
  const Ran ran = run_python(script, fresh.string());
  if (python_missing(ran)) {
    missing = "no reference tensors, a Python package is missing (tools/setup --test): " + ran.output;
    return {};
  }
  if (ran.status != 0) throw std::runtime_error(script + " failed: " + ran.output);
  std::error_code raced;  // another process may have made it meanwhile: the same tensors
  std::filesystem::rename(fresh, folder, raced);
  if (raced) std::filesystem::remove_all(fresh);
  return folder;
}

/// Largest difference.
inline double max_error(const Tensor& a, const Tensor& b) {
  if (a.sizes() != b.sizes()) return INFINITY;
  return a.detach().to(at::kDouble).sub(b.detach().to(at::kDouble)).abs().max().item<double>();
}

/// Largest difference over the largest reference value of the tensor.
inline double relative_error(const Tensor& ours, const Tensor& reference) {
  return max_error(ours, reference) / reference.detach().to(at::kDouble).abs().max().item<double>();
}

}  // namespace flowrun::test
