// Hand-written loops over photographs, without a graph: the baseline of the input side.
//
//   perf_input LIST MODE [THREADS [SIDE]]   a contender of tools/bench: for every line on its standard input it goes through
//                                      the list once and answers with a line of JSON
//   perf_input tiles FOLDER            decode time of regions, plain files against tiled ones
//
// LIST has a line per image: file, x, y, width, height, flip (0 or 1), separated by tabs. Modes, each with all before it:
// full (whole decode), region (the region alone), resize (to SIDE x SIDE, 224 without it, flipped, into a batch of u8), float (normalised
// to C H W float as well). full has no region; the others decode it alone.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <random>
#include <sstream>
#include <string>
#include <sys/resource.h>
#include <thread>
#include <vector>

#include "io/codec/image_format.h"
#include "io/codec/jpeg.h"
#include "io/codec/jpeg_tiles.h"
#include "io/error.h"
#include "io/file.h"
#include "io/resize/resize.h"

namespace {

using namespace flowrun::io;
using Clock = std::chrono::steady_clock;

constexpr int channels = 3;
constexpr size_t batch_images = 256;

struct Item {
  std::string path;
  Rect region;
  bool flip;
};

std::vector<Item> read_list(const std::string& path) {
  std::ifstream lines(path);
  if (!lines) throw Error("cannot read " + path);
  std::vector<Item> items;
  for (std::string line; std::getline(lines, line);) {
    std::istringstream fields(line);
    Item item;
    std::getline(fields, item.path, '\t');
    fields >> item.region.x >> item.region.y >> item.region.width >> item.region.height >> item.flip;
    if (!fields) throw Error("a line of " + path + " is not: file, x, y, width, height, flip");
    items.push_back(std::move(item));
  }
  return items;
}

double peak_mib() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_maxrss) / 1024;
}

// One thread's tools.
struct Worker {
  JpegDecoder decoder;
  Resizer resizer;
  std::vector<uint8_t> bytes;
  PixelBuffer image;

  void read_and_decode(const Item& item, bool whole) {
    read_file(item.path, bytes);
    if (whole) {
      decoder.decode(bytes, image);
    } else {
      decoder.decode(bytes, item.region, image);
    }
  }
};

void normalise(const uint8_t* in, int side, float* out) {
  constexpr float mean[] = {0.485f, 0.456f, 0.406f}, std[] = {0.229f, 0.224f, 0.225f};
  for (int c = 0; c < channels; ++c) {
    const float scale = 1 / (255 * std[c]), shift = -mean[c] / std[c];
    float* const plane = out + c * side * side;
    for (int i = 0; i < side * side; ++i) plane[i] = static_cast<float>(in[i * channels + c]) * scale + shift;
  }
}

class Contender {
 public:
  Contender(std::vector<Item> items, const std::string& mode, int threads, int side)
      : items_(std::move(items)), mode_(mode), side_(side), workers_(static_cast<size_t>(threads)) {
    if (mode != "full" && mode != "region" && mode != "resize" && mode != "float") throw Error("modes are full, region, resize and float");
    batch_.resize(image_bytes() * batch_images);
    if (mode == "float") floats_.resize(batch_.size());
  }

  double run() {
    const auto begin = Clock::now();
    next_ = 0;
    std::vector<std::jthread> threads;
    for (size_t i = 1; i < workers_.size(); ++i) threads.emplace_back([this, i] { work(workers_[i]); });
    work(workers_[0]);
    threads.clear();
    return std::chrono::duration<double>(Clock::now() - begin).count();
  }
  size_t images() const { return items_.size(); }

 private:
  size_t image_bytes() const { return static_cast<size_t>(side_) * static_cast<size_t>(side_) * channels; }

  void work(Worker& worker) {
    for (size_t i = next_++; i < items_.size(); i = next_++) {
      const Item& item = items_[i];
      worker.read_and_decode(item, mode_ == "full");
      if (mode_ == "full" || mode_ == "region") continue;
      uint8_t* const place = batch_.data() + i % batch_images * image_bytes();
      worker.resizer.resize(worker.image.view(), side_, side_, Filter::bicubic, item.flip, place);
      if (mode_ == "float") normalise(place, side_, floats_.data() + i % batch_images * image_bytes());
    }
  }

  std::vector<Item> items_;
  std::string mode_;
  int side_;
  std::vector<Worker> workers_;
  std::vector<uint8_t> batch_;
  std::vector<float> floats_;
  std::atomic<size_t> next_{0};
};

void serve(const std::string& list, const std::string& mode, int threads, int side) {
  Contender contender(read_list(list), mode, threads, side);
  for (std::string line; std::getline(std::cin, line);) {
    const double seconds = contender.run();
    printf("{\"seconds\": %.6f, \"images\": %zu, \"peak_mib\": %.1f}\n", seconds, contender.images(), peak_mib());
    fflush(stdout);
  }
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

Rect draw(std::mt19937& random, const ImageInfo& info, double least, double most) {
  const auto uniform = [&](double from, double to) { return std::uniform_real_distribution<double>(from, to)(random); };
  const double area = uniform(least, most) * info.width * info.height, ratio = std::exp(uniform(-std::log(4.0 / 3), std::log(4.0 / 3)));
  const int width = std::clamp(static_cast<int>(std::sqrt(area * ratio)), 1, info.width);
  const int height = std::clamp(static_cast<int>(std::sqrt(area / ratio)), 1, info.height);
  return {static_cast<int>(uniform(0, info.width - width + 1)), static_cast<int>(uniform(0, info.height - height + 1)), width, height};
}

// Decodes the same regions of plain and tiled files in turns; every pixel is compared once.
void compare_tiles(const std::string& folder) {
  constexpr int repeats = 7, regions = 4;
  std::vector<std::vector<uint8_t>> plain;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) read_file(entry.path(), plain.emplace_back());
  printf("| tiles to a row | file size | area 0.35 to 1 | 0.2 to 1 | 0.05 to 0.25 |\n|---|---|---|---|---|\n");
  for (const int tiles : {8, 16, 32, 0}) {
    std::vector<std::vector<uint8_t>> tiled;
    size_t before = 0, after = 0;
    for (const auto& bytes : plain) {
      tiled.push_back(tile_jpeg(bytes, {tiles}));
      before += bytes.size(), after += tiled.back().size();
    }
    printf("| %s | %+.1f %% |", tiles == 0 ? "one MCU each" : std::to_string(tiles).c_str(),
           100.0 * (static_cast<double>(after) / static_cast<double>(before) - 1));
    for (const auto& [least, most] : {std::pair(0.35, 1.0), std::pair(0.2, 1.0), std::pair(0.05, 0.25)}) {
      JpegDecoder decoder;
      PixelBuffer a, b;
      std::vector<double> ratios;
      for (int repeat = 0; repeat < repeats; ++repeat) {
        std::mt19937 random(static_cast<uint32_t>(repeat));
        double plain_seconds = 0, tiled_seconds = 0;
        for (size_t i = 0; i < plain.size(); ++i) {
          for (int r = 0; r < regions; ++r) {
            const Rect region = draw(random, read_image_info(plain[i]), least, most);
            const auto t0 = Clock::now();
            decoder.decode(plain[i], region, a);
            const auto t1 = Clock::now();
            decoder.decode(tiled[i], region, b);
            plain_seconds += std::chrono::duration<double>(t1 - t0).count();
            tiled_seconds += std::chrono::duration<double>(Clock::now() - t1).count();
            if (a.pixels != b.pixels) throw Error("pixels differ");
          }
        }
        ratios.push_back(plain_seconds / tiled_seconds);
      }
      printf(" %+.0f %% |", 100 * (median(ratios) - 1));
    }
    printf("\n");
    fflush(stdout);
  }
}

}  // namespace

int main(int count, char** args) {
  try {
    if (count == 3 && std::string(args[1]) == "tiles") {
      compare_tiles(args[2]);
    } else if (count >= 3 && count <= 5) {
      serve(args[1], args[2], count > 3 ? std::max(1, std::atoi(args[3])) : 1, count > 4 ? std::max(1, std::atoi(args[4])) : 224);
    } else {
      fprintf(stderr, "perf_input LIST full|region|resize|float [THREADS [SIDE]]\nperf_input tiles FOLDER\n");
      return 2;
    }
  } catch (const std::exception& error) {
    fprintf(stderr, "perf_input: %s\n", error.what());
    return 1;
  }
  return 0;
}
