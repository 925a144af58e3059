#include "tools/app/embed/embed_files.h"

#include <filesystem>
#include <map>

#include "graph/contract/python_program.h"
#include "graph/text/error.h"
#include "graph/text/json_text.h"
#include "io/file.h"
#include "io/run/row_file.h"
#include "io/run/safetensors.h"
#include "tools/app/embed/projector.h"
#include "tools/app/json_files.h"
#include "tools/app/python.h"

namespace flowrun::app {
namespace {

namespace fs = std::filesystem;
using nlohmann::ordered_json;

const char* const to_parquet = R"(
import os, sys
import numpy as np, pyarrow as pa, pyarrow.parquet as pq
rows, labels, keys, out = sys.argv[1:]
x = np.load(rows, mmap_mode="r")
y = np.load(labels, mmap_mode="r") if labels else None
width = int(np.prod(x.shape[1:]))
fields = [("key", pa.string())] + ([("label", pa.int64())] if labels else []) + [("feature", pa.list_(pa.from_numpy_dtype(x.dtype), width))]
schema = pa.schema(fields, metadata={"shape": ",".join(map(str, x.shape[1:]))})
with open(keys, encoding="utf-8", errors="replace", newline="\n") as names, pq.ParquetWriter(out + ".part", schema) as writer:
    for first in range(0, len(x), 1024):
        part = np.ascontiguousarray(x[first:first + 1024]).reshape(-1)
        count = len(part) // width
        columns = [pa.array([names.readline().rstrip("\n") for _ in range(count)])]
        columns += [pa.array(np.asarray(y[first:first + count]))] if labels else []
        columns += [pa.FixedSizeListArray.from_arrays(pa.array(part), width)]
        writer.write_table(pa.Table.from_arrays(columns, schema=schema))
os.replace(out + ".part", out)
)";

/// One line.
std::string in_line(std::string text) {
  for (size_t at = 0; (at = text.find('\n', at)) != std::string::npos; at += 2) text.replace(at, 1, "\\n");
  return text;
}

void write_lines(const std::string& path, int64_t count, const std::function<std::string(int64_t)>& line) {
  io::AtomicFile file(path);
  std::string text;
  for (int64_t i = 0; i < count; ++i) {
    text += in_line(line(i)) + "\n";
    if (text.size() < (1 << 20) && i + 1 < count) continue;
    file.write(std::as_bytes(std::span(text)));
    text.clear();
  }
  file.commit();
}

/// The faults by row, as the pipeline wrote them; a row that was done twice is there once.
std::map<int64_t, std::string> read_faults(const std::string& path) {
  std::map<int64_t, std::string> out;
  each_line(path, [&](const ordered_json& entry) {
    if (entry.contains("row") && entry["row"].is_number_integer()) out[entry["row"].get<int64_t>()] = words_at(entry, "error");
  });
  return out;
}

void write_faults(const EmbedFiles& files, const EmbedRows& rows, Embedded& out) {
  const std::map<int64_t, std::string> faults = read_faults(fs::exists(files.rows_faults) ? files.rows_faults : files.faults);
  out.facts["bad"] = faults.size();
  if (faults.empty()) return;
  std::string text;
  for (const auto& [row, why] : faults) {
    text += json_text(ordered_json{{"row", row}, {"key", rows.key(row)}, {"error", why}}) + "\n";
  }
  io::write_file_atomic(files.faults, text);
  out.facts["faults"] = files.faults;
  const auto& [row, why] = *faults.begin();
  out.lines.push_back(std::to_string(faults.size()) + (faults.size() == 1 ? " file" : " files") + " can't be decoded, the first " + rows.key(row) +
                      ": " + why + "; these rows are NaN, " + files.faults + " lists them");
}

/// Shape of the rows, their number first.
std::vector<int64_t> shape_of(const EmbedFiles& files) {
  if (files.rows.ends_with(".npy")) return io::read_npy_head(files.rows).shape;
  return io::SafetensorsFile(files.rows).at("features").shape;
}

void become_parquet(const EmbedFiles& files, bool labels) {
  const Finished done = run_python({"-c", to_parquet, files.rows, labels ? files.rows_labels : "", files.keys, files.out}, "pyarrow");
  if (done.status != 0)
    throw RunError(files.out + " could not be written from " + files.rows + " by " + python_program() +
                   " with pyarrow; the same command tries again");
  for (const std::string& path : {files.rows, files.rows_labels, files.keys}) fs::remove(path);
}

}  // namespace

EmbedFiles::EmbedFiles(const std::string& name) : out(name), stem(name.substr(0, name.rfind('.'))), parquet(name.ends_with(".parquet")) {
  record = out + ".progress";
  rows = parquet ? out + ".npy" : out;
  keys = (parquet ? out : stem) + ".keys.txt", classes = stem + ".classes.txt", faults = stem + ".faults.jsonl";
  made = out + ".json";
  const std::string beside = rows.substr(0, rows.rfind('.'));
  rows_labels = beside + ".labels.npy", rows_faults = beside + ".faults.jsonl";
}

std::vector<std::string> EmbedFiles::all() const { return {out, record, keys, classes, faults, made, rows, rows_labels, rows_faults}; }

void check_output(const EmbedArgs& args) {
  const fs::path out(args.out);
  const std::string extension = out.extension();
  if (extension != ".npy" && extension != ".safetensors" && extension != ".parquet") {
    throw PipelineError("error: " + args.out + " must end in .npy, .safetensors or .parquet");
  }
  if (const fs::path folder = out.parent_path(); !folder.empty() && !fs::is_directory(folder)) {
    throw PipelineError("error: there is no folder " + folder.string() + " for " + args.out);
  }
  if (extension == ".parquet" && run_python({"-c", "import numpy, pyarrow.parquet"}, "pyarrow", /*quiet=*/true).status != 0) {
    throw PipelineError("error: Parquet files are written by pyarrow, which " + python_program() +
                        " does not have: pip install pyarrow, or name another Python in FLOWRUN_PYTHON, or write .npy or .safetensors");
  }
  if (args.projector.empty()) return;
  if (args.what == "tokens" || args.half)
    throw PipelineError("error: --projector needs one vector of each picture, in float32: leave out --what tokens and --half");
}

void finish_files(const EmbedArgs& args, const EmbedFiles& files, const EmbedRows& rows, nlohmann::ordered_json note, Embedded& out) {
  std::vector<int64_t> shape = shape_of(files);
  out.facts["rows"] = rows.count, out.facts["shape"] = shape;
  std::string size;
  for (const int64_t extent : shape) size += (size.empty() ? "" : " x ") + std::to_string(extent);
  out.lines.push_back(files.out + ": " + size + (args.half ? " float16" : " float32") + (rows.classes.empty() ? "" : ", with labels"));
  write_lines(files.keys, rows.count, rows.key);
  if (!rows.classes.empty()) {
    write_lines(files.classes, static_cast<int64_t>(rows.classes.size()), [&](int64_t i) { return rows.classes[static_cast<size_t>(i)]; });
    out.facts["classes"] = files.classes;
    if (files.out.ends_with(".npy")) out.facts["labels"] = files.rows_labels;
  }
  write_faults(files, rows, out);
  if (!args.projector.empty()) {
    const int64_t points = write_projector(args.projector, files.rows, files.rows_labels, rows);
    out.facts["projector"] = args.projector;
    out.lines.push_back(args.projector + ": " + std::to_string(points) + " points for tensorboard --logdir " + args.projector);
  }
  if (files.parquet) {
    become_parquet(files, !rows.classes.empty());
    if (files.rows_faults != files.faults) fs::remove(files.rows_faults);
  } else {
    out.facts["keys"] = files.keys;
  }
  note["facts"] = out.facts;
  io::write_file_atomic(files.made, json_text(note, 2) + "\n");
  fs::remove(files.record);
}

}  // namespace flowrun::app
