#include "nodes/lib/tensor/optim/own_models.h"

#include <algorithm>
#include <utility>

#include "graph/text/error.h"

namespace flowrun::train {
namespace {

/// All that live, in the order of their opening. A program may have several runs, each on a thread of its own.
std::vector<OwnModels*>& all() {
  static thread_local std::vector<OwnModels*> all;
  return all;
}

}  // namespace

OwnModels::OwnModels(const void* run, std::string node, std::vector<std::string> names, std::vector<Tensor> values)
    : run_(run), node_(std::move(node)), names_(std::move(names)), values_(std::move(values)) {
  all().push_back(this);
}

OwnModels::~OwnModels() { std::erase(all(), this); }

OwnModels::Seen OwnModels::seen(const Tensor& value) {
  const Tensor& gradient = value.grad();
  return gradient.defined() ? Seen{gradient.unsafeGetTensorImpl(), static_cast<int64_t>(gradient._version())} : Seen{nullptr, 0};
}

void OwnModels::before_pass() {
  others_.clear();
  for (const OwnModels* other : all()) {
    others_.emplace_back();
    if (other == this || other->run_ != run_) continue;
    for (const Tensor& value : other->values_) others_.back().push_back(seen(value));
  }
}

void OwnModels::after_pass() const {
  for (size_t o = 0; o < others_.size(); ++o) {
    const OwnModels& other = *all()[o];
    for (size_t i = 0; i < others_[o].size(); ++i) {
      if (seen(other.values_[i]) == others_[o][i]) continue;
      throw NodeError("its loss reaches " + other.names_[i] + ", which " + other.node_ +
                      " trains: set \"train\" to false where that model is only looked at, or let one optimizer train both with loss.sum");
    }
  }
}

}  // namespace flowrun::train
