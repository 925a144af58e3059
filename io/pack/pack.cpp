#include "io/pack/pack.h"

#include <algorithm>
#include <mutex>

#include "io/error.h"
#include "io/pack/pack_image.h"
#include "io/pack/pack_journal.h"
#include "io/pack/pack_output.h"
#include "io/pack/pack_source.h"
#include "io/shards/shard_reader.h"
#include "io/shards/shard_scan.h"
#include "io/workers.h"

namespace flowrun::io {

namespace {

namespace fs = std::filesystem;

/// Names and labels of all samples, for a call that continues where another stopped.
uint64_t fingerprint(const PackSource& source) {
  uint64_t hash = source.names.size();
  const auto mix = [&](const std::string& text) {
    const uint64_t parts[] = {hash, hash_of({reinterpret_cast<const uint8_t*>(text.data()), text.size()})};
    hash = hash_of({reinterpret_cast<const uint8_t*>(parts), sizeof parts});
  };
  for (size_t i = 0; i < source.names.size(); ++i) mix(std::to_string(source.labels[i]) + " " + source.names[i]);
  for (const std::string& name : source.classes) mix(name);
  return hash;
}

nlohmann::ordered_json header_of(const PackSource& source, const PackOptions& options) {
  nlohmann::ordered_json header = {{"format", 1}, {"to", options.to_folder ? "folder" : "shards"}};
  if (!options.to_folder) header.update({{"shard_mib", options.shard_bytes >> 20}, {"zstd", options.zstd}});
  header["resize"] = options.resize;
  if (options.resize > 0) header.update({{"quality", options.quality}, {"filter", options.filter == Filter::bicubic ? "bicubic" : "bilinear"}});
  if (options.tiles_per_row) header["tiles_per_row"] = *options.tiles_per_row;
  header["labels"] = label_kind_name(source.kind);
  header["samples"] = source.names.size();
  char text[17];
  std::snprintf(text, sizeof text, "%016llx", static_cast<unsigned long long>(fingerprint(source)));
  header["images"] = text;
  return header;
}

void check_apart(const PackSource& source, const fs::path& to) {
  const fs::path out = fs::weakly_canonical(to);
  for (const fs::path& root : source.roots) {
    const fs::path below = out.lexically_relative(fs::weakly_canonical(root));
    if (!below.empty() && below.begin()->string() != "..")
      throw Error(to.string() + " lies in " + root.string() + ", which is packed; choose a folder outside");
  }
}

class Packer {
 public:
  Packer(const fs::path& to, const PackOptions& options, PackSource& source, PackJournal& journal)
      : to_(to), options_(options), source_(source), journal_(journal) {}

  PackReport run() {
    PackReport report{.samples = source_.names.size(), .labels = source_.kind};
    report.captions = source_.captions;
    report.found = journal_.samples();
    if (!journal_.complete()) {
      write(report);
      options_.to_folder ? verify_files() : verify_shards();
      journal_.finish();
    }
    report.was_complete = journal_.complete();
    if (options_.to_folder) {
      for (const PackedBlock& block : journal_.blocks()) report.bytes += block.bytes;
      report.classes = static_cast<int64_t>(source_.classes.size());
    } else {
      const ShardReader reader(to_);  // all are there
      report.shards = reader.index().shards.size();
      for (const Shard& shard : reader.index().shards) report.bytes += shard.size;
      report.classes = reader.index().class_count();
    }
    return report;
  }

 private:
  void write(PackReport& report) {
    const size_t begin = journal_.samples(), end = source_.names.size();
    const auto output = open_pack_output(source_, to_, options_, journal_);
    const auto take = [&](size_t i, PackedSample& packed) { source_.take(i, packed.image); };
    const auto make = [&](size_t i, PackedSample& packed) {
      try {
        source_.read(i, packed.image);
        const PackedAs done = pack_image(packed.image, options_);
        packed.encoded_anew = done.resized, packed.tiled = done.tiled, packed.cut = done.cut;
      } catch (const Error& error) {
        const std::string what = error.what(), where = source_.where(i);
        throw Error(what.find(where) == std::string::npos ? where + ": " + what : what);
      }
      output->make_chunk(i, packed);
    };
    const auto put = [&](size_t i, PackedSample& packed) {
      output->put(i, packed);
      report.resized += packed.encoded_anew, report.tiled += packed.tiled;
      if (packed.cut && report.cut.count++ == 0) report.cut.first = source_.where(i), report.cut.values = *packed.cut;
      if (options_.progress) options_.progress("packed", i + 1, end);
    };
    for_each_in_order<PackedSample>(begin, end, options_.threads, take, make, put);
    output->finish();
  }

  std::vector<uint64_t> hashes() const {
    std::vector<uint64_t> out;
    for (const PackedBlock& block : journal_.blocks()) out.insert(out.end(), block.hashes.begin(), block.hashes.end());
    return out;
  }

  [[noreturn]] void differs(const std::string& what) const {
    throw Error(what + "; this is not what was written: check the disk, remove " + to_.string() + " and pack again");
  }

  void verify_shards() {
    std::vector<fs::path> shards;
    uint64_t bytes = 0, done = 0;
    std::mutex mutex;
    for (const PackedBlock& block : journal_.blocks()) shards.push_back(to_ / block.name), bytes += block.bytes;
    IndexOptions how{.labels = source_.kind == LabelKind::none ? LabelKind::none : LabelKind::cls, .threads = options_.threads};
    how.largest_frame = uint64_t{1} << 30;  // one sample each, however large
    how.progress = [&](uint64_t more) {
      const std::lock_guard lock(mutex);
      done += more;
      if (options_.progress)
        options_.progress("verified", source_.names.size() * (done >> 10) / std::max<uint64_t>(1, bytes >> 10), source_.names.size());
    };
    ShardIndex index;
    try {
      index = index_shards(shards, to_, how).index;
    } catch (const Error& error) {
      differs(error.what());
    }
    const std::vector<uint64_t> written = hashes();
    if (index.samples.size() != written.size()) differs(to_.string());
    for (size_t i = 0; i < written.size(); ++i) {
      const ShardSample& sample = index.samples[i];
      const std::string_view name = index.name(sample);
      const bool same_key = name.substr(0, key_size(name)) == std::string_view(source_.names[i]).substr(0, key_size(source_.names[i]));
      if (!same_key || sample.hash != written[i] || sample.label != source_.labels[i])
        differs(shards[sample.shard].string() + ": " + std::string(name));
    }
    index.classes = source_.classes;
    const std::vector<uint8_t> encoded = encode_shard_index(index);
    write_file_atomic(to_ / shard_index_name, std::as_bytes(std::span(encoded)));
  }

  void verify_files() {
    const std::vector<uint64_t> written = hashes();
    std::mutex mutex;
    uint64_t done = 0;
    for_each_parallel(written.size(), options_.threads, [&](size_t i) {
      thread_local std::vector<uint8_t> bytes;
      const fs::path as_it_was = to_ / source_.names[i];
      const fs::path path = fs::exists(as_it_was) ? as_it_was : to_ / packed_name(source_, i, true);
      read_file(path, bytes);
      if (hash_of(bytes) != written[i]) differs(path.string());
      const std::lock_guard lock(mutex);
      if (options_.progress) options_.progress("verified", ++done, written.size());
    });
  }

  const fs::path& to_;
  const PackOptions& options_;
  PackSource& source_;
  PackJournal& journal_;
};

}  // namespace

PackReport pack(const std::vector<std::string>& from, const fs::path& to, const PackOptions& options) {
  const std::unique_ptr<PackSource> source = open_pack_source(from, options);
  check_apart(*source, to);
  PackJournal journal(to, header_of(*source, options));
  return Packer(to, options, *source, journal).run();
}

}  // namespace flowrun::io
