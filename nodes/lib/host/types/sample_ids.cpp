#include "nodes/lib/host/types/sample_ids.h"

#include "graph/contract/rng.h"
#include "graph/contract/shown.h"

namespace flowrun {

void SampleIds::show(Shown& out, int64_t place, int64_t samples) const {
  const int64_t of_sample = rows / samples * each;
  out.empty = of_sample == 0;
  if (of_sample == 0) return;
  const int64_t* const first = values.data() + place * of_sample;
  out.text = "sample " + std::to_string(*first) + (each > 1 ? " and " + std::to_string(each - 1) + " others" : "");
  out.content = hash_bytes(first, static_cast<size_t>(of_sample) * sizeof(int64_t));
  out.details = {{"id", *first}};
}

}  // namespace flowrun
