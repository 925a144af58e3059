#include "tools/app/draw/mask_picture.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <functional>

#include "tools/app/escape.h"

namespace flowrun::app {
namespace {

using Colour = std::array<int, 3>;

// As in nodes/lib/tensor/report/sheet.h.
constexpr Colour region_colours[] = {{230, 159, 0}, {86, 180, 233}, {0, 158, 115}, {204, 121, 167}, {213, 94, 0}, {0, 114, 178}, {240, 228, 66}};
constexpr Colour hidden_colour = {225, 225, 225}, visible_colour = {64, 64, 64};
constexpr Colour low_colour = {242, 246, 250}, high_colour = {8, 69, 120};
constexpr double width = 780, margin = 20, panel = 210, panel_gap = 55, example = 85, example_gap = 8.5;
constexpr double panels_top = 84, examples_top = panels_top + panel + 82, height = examples_top + example + 44;
constexpr int shades = 32;

Colour mix(const Colour& a, const Colour& b, double share) {
  Colour out;
  for (size_t c = 0; c < 3; ++c) out[c] = static_cast<int>(std::lround(a[c] + (b[c] - a[c]) * share));
  return out;
}

std::string printed(const char* format, auto... values) {
  std::array<char, 512> buffer;
  const int size = std::snprintf(buffer.data(), buffer.size(), format, values...);
  return {buffer.data(), std::min(static_cast<size_t>(size), buffer.size() - 1)};
}

std::string hex(const Colour& c) { return printed("#%02x%02x%02x", c[0], c[1], c[2]); }

class MaskPicture {
 public:
  MaskPicture() {
    out_ = printed(
               "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"flowrun-masks\" width=\"%g\" height=\"%g\" viewBox=\"0 0 %g %g\" "
               "font-family=\"Helvetica, Arial, "
               "sans-serif\" ",
               width, height, width, height) +
           "font-size=\"11\" fill=\"#444\">\n" + style + "<rect class=\"page\" width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n";
  }
  std::string end() { return out_ + "</svg>\n"; }

  void text(double x, double y, const std::string& text, const char* style = "") {
    out_ += printed("<text x=\"%g\" y=\"%g\" %s>", x, y, style) + xml_text(text) + "</text>\n";
  }
  void bar(double x, double y, double w, double h, const Colour& colour) {
    out_ += printed("<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\" fill=\"%s\"/>\n", x, y, w, h, hex(colour).c_str());
  }
  /// The cells of a grid; all of one colour are one path, runs in a row one rectangle.
  void cells(double x, double y, double side, int grid, const std::vector<Colour>& colours) {
    out_ += printed("<g transform=\"translate(%g %g) scale(%.5f)\" shape-rendering=\"crispEdges\">\n", x, y, side / grid);
    std::vector<Colour> distinct = colours;
    std::sort(distinct.begin(), distinct.end());
    distinct.erase(std::unique(distinct.begin(), distinct.end()), distinct.end());
    for (const Colour& colour : distinct) {
      std::string path;
      for (int p = 0; p < grid * grid;) {
        int run = 0;
        while (p + run < grid * grid && (run == 0 || (p + run) % grid != 0) && colours[static_cast<size_t>(p) + static_cast<size_t>(run)] == colour)
          ++run;
        if (run > 0) path += printed("M%d %dh%dv1h-%dz", p % grid, p / grid, run, run);
        p += std::max(1, run);
      }
      out_ += "<path fill=\"" + hex(colour) + "\" d=\"" + path + "\"/>\n";
    }
    out_ += "</g>\n";
  }

 private:
  /// On a dark page; light colours are attributes, which every SVG viewer supports.
  static constexpr const char* style = R"(<style>
@media (prefers-color-scheme: dark) {
  .flowrun-masks { fill: #b4b6bd; }
  .flowrun-masks .page { fill: #17181b; }
  .flowrun-masks .title { fill: #e6e7ea; }
}
</style>
)";

  std::string out_;
};

/// How often each patch is visible, or a target: dark is often. The scale goes from the rarest to the commonest.
void heat_map(MaskPicture& picture, double x, const char* title, const std::vector<double>& values) {
  const auto [least, most] = std::minmax_element(values.begin(), values.end());
  // Small differences are chance, and must not be exaggerated.
  const double range = std::max(*most - *least, 0.1), low = std::max(0.0, (*least + *most - range) / 2);
  std::vector<Colour> colours;
  for (const double value : values) colours.push_back(mix(low_colour, high_colour, std::round((value - low) / range * shades) / shades));
  const int grid = static_cast<int>(std::lround(std::sqrt(static_cast<double>(values.size()))));
  picture.text(x, panels_top - 10, title, "font-weight=\"bold\"");
  picture.cells(x, panels_top, panel, grid, colours);
  const double scale_top = panels_top + panel + 10, step = 142.0 / shades;
  picture.text(x, scale_top + 9, printed("%.2f", low));
  for (int s = 0; s < shades; ++s) picture.bar(x + 34 + s * step, scale_top, step + 0.2, 10, mix(low_colour, high_colour, (s + 0.5) / shades));
  picture.text(x + panel, scale_top + 9, printed("%.2f", low + range), "text-anchor=\"end\"");
}

struct Bar {
  std::string name;
  double share;
};

void bars(MaskPicture& picture, double x, const char* title, const std::vector<Bar>& entries) {
  picture.text(x, panels_top - 10, title, "font-weight=\"bold\"");
  const double step = std::min(24.0, panel / static_cast<double>(std::max<size_t>(1, entries.size())));
  double most = 0, y = panels_top;
  for (const Bar& entry : entries) most = std::max(most, entry.share);
  for (const Bar& entry : entries) {
    const double length = most > 0 ? (panel - 78) * entry.share / most : 0;
    picture.text(x + 28, y + step * 0.7, entry.name, "text-anchor=\"end\"");
    picture.bar(x + 34, y + step * 0.12, std::max(length, 0.5), step * 0.76, region_colours[5]);
    picture.text(x + 40 + length, y + step * 0.7, printed("%.1f %%", 100 * entry.share));
    y += step;
  }
}

std::vector<Bar> size_bars(const mask::MaskSummary& summary) {
  constexpr size_t most_bars = 12;
  std::vector<Bar> out;
  double listed = 0;
  for (const auto& [size, share] : summary.sizes) out.push_back({std::to_string(size.first) + "x" + std::to_string(size.second), share});
  if (out.size() > most_bars) {
    std::stable_sort(out.begin(), out.end(), [](const Bar& a, const Bar& b) { return a.share > b.share; });
    out.resize(most_bars - 1);
    for (const Bar& bar : out) listed += bar.share;
    out.push_back({"other", 1 - listed});
  }
  return out;
}

std::vector<Bar> row_bars(const mask::MaskSummary& summary) {
  std::vector<Bar> out;
  for (size_t r = 0; r < summary.row_visibility.size(); ++r) out.push_back({std::to_string(r), summary.row_visibility[r]});
  return out;
}

void draw_example(MaskPicture& picture, double x, const ShownMask& mask) {
  std::vector<Colour> colours;
  for (size_t p = 0; p < mask.visible.size(); ++p) {
    Colour colour = mask.visible[p] ? visible_colour : hidden_colour;
    double share = 0.85;
    for (const int r : mask.regions[p]) colour = mix(colour, region_colours[static_cast<size_t>(r) % std::size(region_colours)], share), share = 0.5;
    colours.push_back(colour);
  }
  picture.cells(x, examples_top, example, mask.grid, colours);
}

}  // namespace

std::string mask_picture(const std::string& title, const mask::MaskSummary& summary, const std::vector<ShownMask>& examples) {
  MaskPicture picture;
  picture.text(margin, 26, title, "class=\"title\" font-size=\"14\" font-weight=\"bold\" fill=\"#222\"");
  picture.text(
      margin, 46,
      printed("seen %.3f ± %.3f, targets %.3f ± %.3f of the patches; %.2f of the targets beside a visible patch, %.2f patches away on average",
              summary.seen.mean, summary.seen.sd, summary.target.mean, summary.target.sd, summary.adjacency, summary.distance));
  heat_map(picture, margin, "how often a patch is visible", summary.visibility);
  heat_map(picture, margin + panel + panel_gap, "how often a patch is a target", summary.predicted);
  const double third = margin + 2 * (panel + panel_gap);
  if (!summary.mostly_rectangles()) {
    bars(picture, third, "visible patches by row", row_bars(summary));
  } else {
    bars(picture, third, "regions, height x width", size_bars(summary));
  }
  picture.text(margin, examples_top - 12, "masks of different groups", "font-weight=\"bold\"");
  double x = margin;
  for (const ShownMask& mask : examples) draw_example(picture, x, mask), x += example + example_gap;
  const double key = examples_top + example + 14;
  const auto legend = [&](double at, const Colour& colour, const char* what) {
    picture.bar(at, key, 11, 11, colour);
    picture.text(at + 16, key + 10, what);
  };
  legend(margin, visible_colour, "visible to the student");
  legend(margin + 160, mix(hidden_colour, region_colours[0], 0.85), "target (one colour per region)");
  legend(margin + 360, hidden_colour, "neither");
  return picture.end();
}

}  // namespace flowrun::app
