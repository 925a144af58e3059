// Any bytes as a shard, plain or compressed: an index or an Error, with every sample inside the shard.
#include "io/shards/tar.h"

#include <cstdlib>

#include "io/error.h"
#include "io/shards/shard_scan.h"
#include "support/io_shards.h"

using namespace flowrun::io;

namespace {

void scan(std::span<const uint8_t> bytes) {
  try {
    SpanStream stream(bytes);
    std::vector<ScannedShard> scans(1);
    scans[0] = scan_shard(stream, "a.tar");
    const ScannedShard& scan = scans[0];
    if (scan.shard.size != bytes.size()) std::abort();
    for (const ScannedSample& sample : scan.samples) {
      if (sample.offset > scan.shard.content || sample.size > scan.shard.content - sample.offset) std::abort();
      if (scan.frames.empty() && hash_of(bytes.subspan(sample.offset, sample.size)) != sample.hash) std::abort();
    }
    IndexedShards made = merge_scans(scans, {"a.tar"}, {});
    made.index.shards[0].name = "a.tar";
    const std::vector<uint8_t> encoded = encode_shard_index(made.index);
    if (encode_shard_index(parse_shard_index(encoded, "index")) != encoded) std::abort();
  } catch (const Error&) {
  }
}

}  // namespace

// The first byte tells whether checksums are corrected.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  std::vector<uint8_t> bytes(data + 1, data + size);
  if (data[0] & 1) test::repair_tar(bytes);
  scan(bytes);
  return 0;
}
