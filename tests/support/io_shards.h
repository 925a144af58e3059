#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <span>
#include <vector>
#define XXH_INLINE_ALL
#include <xxhash.h>

// Makes checksums right again, so that mutations get past them and reach what lies behind.

namespace flowrun::io::test {

// Every block that is not zero becomes a header with its checksum.
inline void repair_tar(std::span<uint8_t> archive) {
  for (size_t at = 0; at + 512 <= archive.size(); at += 512) {
    const std::span<uint8_t> block = archive.subspan(at, 512);
    if (std::all_of(block.begin(), block.end(), [](uint8_t byte) { return byte == 0; })) continue;
    std::fill_n(block.begin() + 148, 8, uint8_t{' '});
    uint32_t sum = 0;
    for (const uint8_t byte : block) sum += byte;
    for (size_t i = 6; i-- > 0; sum >>= 3) block[148 + i] = static_cast<uint8_t>('0' + (sum & 7));
    block[154] = 0;
  }
}

// The index's checksum lies in the last eight of its first 64 bytes and is taken over zeros there.
inline void repair_index(std::span<uint8_t> index) {
  if (index.size() < 64) return;
  std::memset(index.data() + 56, 0, 8);
  const uint64_t sum = XXH3_64bits_withSeed(index.data() + 64, index.size() - 64, XXH3_64bits(index.data(), 64));
  std::memcpy(index.data() + 56, &sum, 8);
}

}  // namespace flowrun::io::test
