// Descriptions of texts, for `flowrun replay` and `flowrun plan`.
#include "nodes/lib/host/types/text_types.h"

#include "graph/contract/planned.h"
#include "graph/contract/rng.h"
#include "graph/contract/shown.h"

namespace flowrun {
namespace {

/// The numbers of one row up to its end.
void show_row(Shown& out, const int64_t* ids, int64_t length, int64_t end) {
  const std::vector<int64_t> row(ids, ids + end + 1);
  out.text = std::to_string(row.size()) + " of " + std::to_string(length) + " tokens:";
  constexpr size_t most = 12;
  for (size_t i = 0; i < std::min(most, row.size()); ++i) out.text += " " + std::to_string(row[i]);
  if (row.size() > most) out.text += " …";
  out.content = hash_bytes(row.data(), row.size() * sizeof(int64_t));
  out.details = {{"tokens", row}, {"length", length}};
}

/// Rows whose length is known where the node tells it.
Planned rows(double count, const Planned& told) {
  Planned out = told.width > 0 ? Planned::of({count, told.width}, "int64", 8) : Planned();
  if (told.width == 0) out.text = count > 1 ? count_text(count) + " texts" : "a text";
  return out;
}

}  // namespace

void Caption::show(Shown& out, int64_t, int64_t) const {
  out.empty = texts.empty();
  uint64_t hash = 0;
  auto listed = nlohmann::ordered_json::array();
  for (const std::string& text : texts) {
    out.text += (out.text.empty() ? "\"" : ", \"") + text + "\"";
    hash = hash_bytes(text.data(), text.size(), hash);
    listed.push_back(text);
  }
  out.content = hash;
  out.details = {{"captions", listed}};
}
void Caption::plan(const PlannedGroup&, Planned& out) { out.text = "a text"; }

void TextTokens::show(Shown& out, int64_t, int64_t) const {
  out.empty = ids.empty();
  if (!out.empty) show_row(out, ids.data(), static_cast<int64_t>(ids.size()), end);
}
void TextTokens::plan(const PlannedGroup&, Planned& out) { out = rows(1, out); }

void TextBatch::show(Shown& out, int64_t place, int64_t) const {
  out.empty = ids.empty();
  if (!out.empty) show_row(out, ids.data() + place * length, length, ends[static_cast<size_t>(place)]);
}
void TextBatch::plan(const PlannedGroup& group, Planned& out) { out = rows(group.images / group.views, out); }

}  // namespace flowrun
