// The subcommands. Each returns the exit status: 0 done, 1 the run failed, 2 the pipeline is wrong, 75 stopped on
// request. PipelineError and RunError are caught in main().
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace flowrun {
class InputTaker;
}

namespace flowrun::tool {

inline constexpr int exit_failed = 1, exit_pipeline = 2, exit_stopped = 75;

/// A pipeline file with its changes.
struct PipelineArgs {
  std::string file;
  std::vector<std::string> sets;
  bool trust = false;  // plug-ins that a run's folder names may be loaded
};

struct RunArgs {
  PipelineArgs pipeline;
  std::string out;
  bool resume = false;
  bool accept_changed_data = false;
  bool serial = false;
  bool quiet = false;
  int threads = 0;
  int prometheus = 0;  // port; 0: none
  int rank = 0, world = 1;
  uint64_t jitter = 0;
  std::string trace;  // file; empty: none
  int64_t trace_calls = 200'000;
  // For a variant that runs beside others in one process.
  std::string name;             // in front of its lines
  InputTaker* takes = nullptr;  // its input
};

struct SweepArgs {
  std::string file;
  std::string out;  // folder; empty: runs/NAME
  int threads = 0;
  bool quiet = false, json = false;
  bool share = false;
  bool trust = false;                 // as PipelineArgs::trust, for all variants
  int64_t memory_mib = 0;             // memory for runs side by side; 0: the free memory
  std::vector<std::string> together;  // the variants that this process runs side by side; set by `sweep` itself
};

struct CheckArgs {
  PipelineArgs pipeline;
  bool json = false;
};

struct TopArgs {
  std::string run;
  double every = 1;  // seconds
  bool once = false, json = false;
};

struct DrawArgs {
  PipelineArgs pipeline;  // or a run's directory
  std::string out;        // .svg: a picture; else DOT, to the terminal when empty
  bool plan = false;      // the lowered plan in words
  bool json = false;      // nodes and edges
};

struct DiffArgs {
  PipelineArgs a, b;
  double seconds = 0;  // of measuring; 0: none
  bool json = false;
};

struct ExportArgs {
  std::string from, to;
  std::string model;  // of a checkpoint's; empty: the teacher, else the student
  int64_t heads = 0;  // 0: from the width
  bool allow_partial = false;
  bool json = false;
};

struct ReportArgs {
  std::string run;  // directory
  bool trust = false;
  std::string out;  // empty: report.html in it
  bool json = false;
};

struct TypeArgs {
  std::string type;  // empty: all
  std::string folder;
  bool json = false;
  std::vector<std::string> plugins;  // loaded first, so that their types are shown too
};

struct MaskReportArgs {
  PipelineArgs pipeline;
  std::string node;  // empty: the only one
  int64_t groups = 64;
  int size = 0;  // of images, pixels; 0: as the pipeline says
  bool json = false;
  std::string out;  // .svg; empty: no picture
};

struct ProfileArgs {
  PipelineArgs pipeline;
  std::string source;  // empty: the one that trains, or the only one
  int threads = 0;
  double seconds = 10;
  int64_t steps = 0;  // 0: by time
  std::vector<std::string> stubs;
  int64_t skip = 0, images = 0;  // for benchmarks: counts exactly this many images after the first; 0: by time
  bool upload = false;           // include the device nodes that use no model
  bool input_only = false;
  bool leaks = false;
  bool json = false;
};

struct AdviseArgs {
  PipelineArgs pipeline;  // or a run directory
  int threads = 0;
  double seconds = 20;
  double cores = 0, data_threads = 0, device_scale = 1;  // the machine asked about; 0: this one's
  int64_t groups = 0;                                    // of a batch, asked about; 0: as it is
  bool verify = false, measure = false, json = false;
};

struct PlanArgs {
  PipelineArgs pipeline;            // or a run directory, whose statistics are taken
  int64_t world = 1, per_node = 0;  // per machine; 0: as the device's table says
  std::string device = "h100";
  double utilisation = 0.4;           // of the device's peak
  double device_rate = 0;             // images/s of one device; 0: by operations
  double bandwidth = 0;               // GB/s between ranks; 0: the device's table
  double latency = 30;                // us of a message between hosts
  int64_t images = 0;                 // of the source, where it can't be opened
  double file_kib = 0, cores_ms = 0;  // of an image; 0: unknown
  double cores = 0, storage = 0;      // that a machine has, 0: as the device's table says; MB/s that it reads, 0: unknown
  bool json = false;
};

struct ReplayArgs {
  std::string run;     // directory
  std::string sample;  // index, or the key that the source gives it
  int64_t epoch = 0;   // from 0
  std::string node;    // empty: the last sample nodes, and masks
  std::string png;     // empty: no picture
  int threads = 0;
  bool trust = false;
  bool json = false;
};

struct VerifyArgs {
  std::string run;    // directory
  int64_t step = 0;   // 0: see steps
  std::string steps;  // FIRST:LAST; empty: some, spread over the run
  int threads = 0;
  bool trust = false;
  bool json = false;
};

struct IndexArgs {
  std::vector<std::string> shards;  // files and folders
  std::string out;                  // empty: index.flowrun beside the shards
  std::string labels = "auto";
  std::string image;  // empty: pictures by their extension
  int threads = 1;
  bool json = false, quiet = false;
};

struct PackArgs {
  std::vector<std::string> paths;  // the last is where to
  std::string to = "shards", labels = "auto", filter = "bicubic";
  int64_t shard_mib = 256;
  int resize = 0, quality = 90, threads = 1;
  std::string tiled;  // empty: no tiles; else tiles per row, or "mcu"
  bool zstd = false, json = false, quiet = false;
};

int run(const RunArgs& args);
/// Runs the variants of a sweep file one after the other, or side by side where they share their input.
int sweep(const SweepArgs& args);
/// Shows the present work of the process that writes into a run directory.
int top(const TopArgs& args);
int check(const CheckArgs& args);
int expand(const PipelineArgs& args);
int draw(const DrawArgs& args);
/// Compares two pipelines: values, random streams, whether checkpoints fit, speed.
int diff(const DiffArgs& args);
/// Writes the encoder of a file of weights in any known layout, a checkpoint or a run directory for timm.
int export_weights(const ExportArgs& args);
/// Writes a page about a run directory; the run may still be going.
int report(const ReportArgs& args);
/// Statistics of the masks that a node of the pipeline draws, and a picture of them; reads no image.
int mask_report(const MaskReportArgs& args);
/// Measures where a pipeline's time goes, or that of its host side alone (source, sample and batch nodes).
int profile(const ProfileArgs& args);
/// Forecasts a pipeline's speed on other machines.
int advise(const AdviseArgs& args);
/// Plans a run on many machines; runs nothing.
int plan(const PlanArgs& args);
/// Shows a sample of a run, node by node, and the ledger of its step.
int replay(const ReplayArgs& args);
/// Repeats ledgers of a run, and compares them with its metrics.
int verify(const VerifyArgs& args);
/// Writes the index of tar shards, which source.shards needs.
int index_shards(const IndexArgs& args);
/// A folder of images, or shards, to shards or a folder.
int pack(const PackArgs& args);
/// All types, or one.
int help(const TypeArgs& args);
int schema(const TypeArgs& args);
/// Writes one page per family of types into a folder.
int doc(const TypeArgs& args);

}  // namespace flowrun::tool
