// Shared by nodes that process each view of a picture separately.
#pragma once

#include <string>
#include <vector>

#include "graph/contract/context.h"
#include "graph/contract/params.h"
#include "graph/contract/planned.h"
#include "graph/text/error.h"
#include "nodes/lib/host/types/host_types.h"

namespace flowrun::image {

/// The random numbers of one view, at a place of its own in the sample's draws. View 0 gets the numbers of a picture
/// with one view. No node may take more than 1024 draws for a view.
inline uint32_t first_draw(int view) { return 1024 * static_cast<uint32_t>(view); }
inline Rng rng_of(const SampleContext& context, int view) {
  Rng rng = context.rng();
  rng.seek(first_draw(view));
  return rng;
}

/// The ledger entry of one view: equal draws of different views are different entries.
inline void add_to_ledger(const SampleContext& context, int view, uint64_t drawn) {
  context.ledger.add(view == 0 ? drawn : hash_bytes(&drawn, sizeof drawn, static_cast<uint64_t>(view)));
}

inline int64_t pixels_of_view(const io::PixelBuffer& image) { return static_cast<int64_t>(image.height) * image.width; }

/// For nodes of colours. Throws NodeError unless the pixels are RGB.
inline void require_rgb(const io::PixelBuffer& image) {
  if (image.channels != 3) throw NodeError("colours can't be changed of an image of " + std::to_string(image.channels) + " channels");
}

/// The parameter "p" of nodes that act by chance: one number for all views of a picture, or one for each.
struct Chances {
  std::vector<double> each;
  explicit Chances(double p) : each{p} {}
  void describe(auto& param, const char* brief) { param.one_or_more("p", each, Range{0, 1}, brief); }
  double of(int view) const { return each.size() == 1 ? each[0] : each[static_cast<size_t>(view)]; }
  /// Ends the run if there is another number of views than of chances.
  void require(int views) const {
    if (each.size() != 1 && each.size() != static_cast<size_t>(views)) throw FatalNodeError(fault(std::to_string(views)));
  }
  /// The same before the run.
  void plan(NodePlan& plan) const {
    const double views = plan.known("image").views;
    if (views > 0 && each.size() != 1 && static_cast<double>(each.size()) != views) plan.fault("p", fault(count_text(views)));
  }

 private:
  std::string fault(const std::string& views) const {
    return "p has " + std::to_string(each.size()) + " chances, but there are " + views + " views of a picture: give one number, or one for each view";
  }
};

/// For nodes of colours: calls `change` for each view (its pixels, their number, its random numbers, its chance), which returns
/// what it drew.
template <class Change>
void change_colours(const Image& in, Image& out, const Chances& chances, const SampleContext& context, Change&& change) {
  require_rgb(in.pixels);
  chances.require(in.pixels.views);
  change_in_place(in, out);
  for (int view = 0; view < out.pixels.views; ++view) {
    add_to_ledger(context, view, change(out.pixels.at(view), pixels_of_view(out.pixels), rng_of(context, view), chances.of(view)));
  }
}

/// For nodes that make views themselves ("a picture is turned"): a fault before the run if several come in.
inline void plan_one_view(NodePlan& plan, const std::string& what) {
  const double views = plan.known("image").views;
  if (views > 1) plan.fault("image", what + " in one view, but " + count_text(views) + " come", "set count of image.random_crop to 1");
}

/// For nodes that take `what`, of which a picture has one. Ends the run if there are several views.
inline void require_one_view(int views, const std::string& what) {
  if (views == 1) return;
  throw FatalNodeError(what + " is for one view of a picture, but " + std::to_string(views) +
                       " come; give each view a chain of nodes of its own, with count = 1 at image.random_crop");
}

}  // namespace flowrun::image
