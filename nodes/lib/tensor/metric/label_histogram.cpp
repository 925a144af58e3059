#include "nodes/lib/tensor/metric/label_histogram.h"

#include <ATen/ops/bincount.h>
#include <algorithm>
#include <cstdio>
#include <iterator>
#include <stdexcept>

namespace flowrun::eval {
namespace {

constexpr int64_t no_class = 255;

std::string joined(const std::vector<int64_t>& classes) {
  constexpr size_t most = 10;
  std::string out;
  for (size_t i = 0; i < std::min(most, classes.size()); ++i) out += (i == 0 ? "" : ", ") + std::to_string(classes[i]);
  return classes.size() > most ? out + " and " + std::to_string(classes.size() - most) + " more" : out;
}

}  // namespace

LabelHistogram LabelHistogram::of_maps(const Tensor& maps) {
  LabelHistogram out;
  const Tensor counts = at::bincount(maps.flatten().to(at::kLong), /*weights=*/{}, 256).to(at::kCPU);
  std::copy_n(counts.const_data_ptr<int64_t>(), 256, out.counts_.begin());
  return out;
}

LabelHistogram LabelHistogram::of_confusion(const Tensor& counts_CC) {
  LabelHistogram out;
  const Tensor rows = counts_CC.sum(1).to(at::kCPU, at::kLong).contiguous();
  std::copy_n(rows.const_data_ptr<int64_t>(), std::min<int64_t>(rows.numel(), 256), out.counts_.begin());
  return out;
}

std::vector<int64_t> LabelHistogram::classes() const {
  std::vector<int64_t> out;
  for (int64_t i = 0; i < no_class; ++i) {
    if (counts_[static_cast<size_t>(i)] > 0) out.push_back(i);
  }
  return out;
}

std::string LabelHistogram::text() const {
  constexpr size_t most = 10;
  std::vector<int64_t> values = classes();
  if (counts_[no_class] > 0) values.push_back(no_class);
  const auto count = [&](int64_t value) { return counts_[static_cast<size_t>(value)]; };
  std::stable_sort(values.begin(), values.end(), [&](int64_t a, int64_t b) { return count(a) > count(b); });
  double all = 0;
  for (const int64_t value : values) all += static_cast<double>(count(value));
  std::string out;
  for (size_t i = 0; i < std::min(most, values.size()); ++i) {
    char share[32];
    std::snprintf(share, sizeof share, "%.1f %%", 100 * static_cast<double>(count(values[i])) / all);
    out += (i == 0 ? "" : ", ") + (values[i] == no_class ? "no class (255)" : std::to_string(values[i])) + ": " + share;
  }
  return values.size() > most ? out + " and " + std::to_string(values.size() - most) + " more values" : out;
}

void require_classes(const LabelHistogram& maps, const std::string& what) {
  const std::vector<int64_t> classes = maps.classes();
  if (classes.size() > 1) return;
  throw std::invalid_argument("the label maps of " + what + " hold " +
                              (classes.empty() ? "no class" : "one class alone, " + std::to_string(classes[0])) + ", so a score says nothing (" +
                              maps.text() + "); 255 stands for no class: masks of 0 and 255 need \"map\": [255, 1] of image.png_labels");
}

std::vector<std::string> doubts(const LabelHistogram& train, const LabelHistogram& test) {
  std::vector<std::string> out;
  const std::vector<int64_t> known = train.classes(), asked = test.classes();
  if (!known.empty() && known.back() > 2 * static_cast<int64_t>(known.size()) + 8) {
    out.push_back("the label maps hold " + std::to_string(known.size()) + " values, up to " + std::to_string(known.back()) + " (" + train.text() +
                  "): are these classes? \"map\" of image.png_labels gives them numbers");
  }
  if (asked.size() < 2) out.push_back("the label maps of test hold fewer than two classes (" + test.text() + ")");
  std::vector<int64_t> unknown;
  std::set_difference(asked.begin(), asked.end(), known.begin(), known.end(), std::back_inserter(unknown));
  if (!unknown.empty())
    out.push_back("the label maps of test hold classes that those of train have not: " + joined(unknown) + " (test: " + test.text() + ")");
  return out;
}

}  // namespace flowrun::eval
