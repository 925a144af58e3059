// Any bytes as an index: an index or an Error; an accepted index is written back unchanged.
#include <cstdlib>

#include "io/error.h"
#include "io/shards/shard_index.h"
#include "support/io_shards.h"

using namespace flowrun::io;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::vector<uint8_t> bytes(data, data + size);
  test::repair_index(bytes);
  try {
    const ShardIndex index = parse_shard_index(bytes, "index");
    if (!index.captions.empty() && index.captions.size() != index.samples.size()) std::abort();
    for (size_t i = 0; i < index.captions.size(); ++i) {
      if (index.captions[i].offset + index.captions[i].size > index.shards.at(index.samples[i].shard).content) std::abort();
    }
    for (const ShardSample& sample : index.samples) {
      if (index.name(sample).size() != sample.name_size) std::abort();
      if (sample.offset + sample.size > index.shards.at(sample.shard).content) std::abort();
    }
    if (encode_shard_index(index) != bytes) std::abort();
  } catch (const Error&) {
  }
  return 0;
}
