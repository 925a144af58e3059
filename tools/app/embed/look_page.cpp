#include "tools/app/embed/look_page.h"

#include <algorithm>
#include <cmath>
#include <sstream>

#include "io/codec/png.h"
#include "tools/app/base64.h"
#include "tools/app/escape.h"
#include "tools/app/results/report_page.h"
#include "tools/app/text.h"

namespace flowrun::app {
namespace {

constexpr const char* style = R"(<style>
.cards { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(600px, 100%), 1fr)); gap: 30px 36px; margin: 18px 0; }
.card h3 { margin: 0 0 6px; overflow-wrap: anywhere; } .three { display: grid; grid-template-columns: repeat(3, 1fr); gap: 8px; }
.card figcaption, .near figcaption { font-weight: 400; font-size: 12px; color: var(--quiet); line-height: 1.3; margin-top: 3px; }
.square { position: relative; aspect-ratio: 1; cursor: crosshair; } .square img, .square canvas { position: absolute; inset: 0; width: 100%; height: 100%; border-radius: 3px; }
.blocks { image-rendering: pixelated; background: none; } .spot { position: absolute; display: none; box-sizing: border-box; border: 2px solid #fff; outline: 1px solid #000; pointer-events: none; }
.row { display: flex; flex-wrap: wrap; gap: 6px; margin: 8px 0 2px; } .row figure { width: 76px; } .row img { width: 76px; height: 76px; border-radius: 3px; display: block; }
.row figcaption { overflow: hidden; text-overflow: ellipsis; white-space: nowrap; } .same { color: #2e9e6b; font-weight: 600; }
.row img { outline: 1px solid var(--rim); outline-offset: -1px; } .card h4 { font-size: 12px; font-weight: 400; color: var(--quiet); margin: 10px 0 -4px; }
.captions { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(400px, 100%), 1fr)); gap: 10px 36px; } .captions dt { font-weight: 600; } .captions dd { margin: 0; }
.ramp { display: flex; align-items: center; gap: 8px; font-size: 13px; position: sticky; top: 0; background: var(--page); padding: 8px 0; z-index: 1; } .ramp canvas { width: 220px; height: 12px; border-radius: 2px; }
</style>
)";

constexpr const char* script = R"(<script>
const bytes = Uint8Array.from(atob(look.codes), (c) => c.charCodeAt(0)), codes = new Int8Array(bytes.buffer);
const ramp = ["440154", "482878", "3e4989", "31688e", "26828e", "1f9e89", "35b779", "6ece58", "b5de2b", "fde725"].map((hex) => [0, 2, 4].map((i) => parseInt(hex.slice(i, i + 2), 16)));
function colour(share) {
  const at = Math.max(0, Math.min(1, share)) * (ramp.length - 1), i = Math.min(ramp.length - 2, Math.floor(at));
  return ramp[i].map((from, c) => Math.round(from + (at - i) * (ramp[i + 1][c] - from)));
}
function paint(canvas, width, height, share) {
  canvas.width = width; canvas.height = height;
  const context = canvas.getContext("2d"), pixels = context.createImageData(width, height);
  for (let i = 0; i < width * height; ++i) pixels.data.set([...colour(share(i)), 255], 4 * i);
  context.putImageData(pixels, 0, 0);
}
const cards = [...document.querySelectorAll(".card")], patches = look.grid * look.grid;
function cosine(a, b) {
  let dot = 0;
  for (let k = 0; k < look.width; ++k) dot += codes[a * look.width + k] * codes[b * look.width + k];
  return Math.min(1, look.scale * look.scale * dot);
}
function choose(patch) {
  const values = Array.from({length: cards.length * patches}, (_, i) => i === patch ? 1 : cosine(patch, i));
  const least = values.reduce((a, b) => Math.min(a, b), 1), range = Math.max(1e-6, 1 - least);
  cards.forEach((card, n) => paint(card.querySelector("canvas"), look.grid, look.grid, (i) => (values[n * patches + i] - least) / range));
  document.getElementById("least").textContent = least.toFixed(2);
  const picture = Math.floor(patch / patches), within = patch % patches, row = Math.floor(within / look.grid), column = within % look.grid;
  document.getElementById("chosen").textContent = "picture " + (picture + 1) + ", row " + (row + 1) + ", column " + (column + 1);
  cards.forEach((card, n) => card.querySelectorAll(".spot").forEach((spot) => {
    Object.assign(spot.style, {display: n === picture ? "block" : "none", left: 100 * column / look.grid + "%", top: 100 * row / look.grid + "%", width: 100 / look.grid + "%", height: 100 / look.grid + "%"});
  }));
}
paint(document.getElementById("ramp"), 220, 1, (i) => i / 219);
cards.forEach((card, n) => card.querySelectorAll(".square").forEach((square) => square.addEventListener("pointerdown", (event) => {
  const box = square.getBoundingClientRect(), place = (at) => Math.max(0, Math.min(look.grid - 1, Math.floor(at * look.grid)));
  choose(n * patches + place((event.clientY - box.top) / box.height) * look.grid + place((event.clientX - box.left) / box.width));
})));
choose(Math.floor(look.grid / 2) * look.grid + Math.floor(look.grid / 2));
</script>
)";

std::string image(const io::ImageView& view, const std::string& about, bool blocks) {
  return std::string("<img") + (blocks ? " class=\"blocks\"" : "") + " alt=\"" + xml_text(about) + "\" src=\"data:image/png;base64," +
         base64(io::encode_png(view)) + "\">";
}

/// Small pictures are shown with their pixels as squares.
constexpr int smooth_from = 96;

std::string picture(const io::PixelBuffer& pixels, const std::string& about) { return image(pixels.view(), about, pixels.width < smooth_from); }

std::string colours(const std::vector<Colour>& colours_N, int64_t grid, const std::string& about) {
  const auto side = static_cast<int>(grid);
  return image({colours_N[0].data(), side, side, 3}, about, true);
}

/// From 0 to the head's largest value.
std::string head(const float* attention_N, int64_t grid, const std::string& about) {
  const auto patches = static_cast<size_t>(grid * grid);
  const float most = std::max(*std::max_element(attention_N, attention_N + patches), 1e-30f);
  std::vector<uint8_t> gray(patches);
  for (size_t i = 0; i < patches; ++i) gray[i] = static_cast<uint8_t>(std::lround(255 * attention_N[i] / most));
  const auto side = static_cast<int>(grid);
  return image({gray.data(), side, side, 1}, about, true);
}

std::string figure(const std::string& inside, const std::string& caption) {
  return "<figure>" + inside + "<figcaption>" + caption + "</figcaption></figure>";
}

std::string square(const std::string& inside) { return "<div class=\"square\">" + inside + "<div class=\"spot\"></div></div>"; }

std::string name_of(const std::string& key) { return key.substr(key.rfind('/') + 1); }

class Writer {
 public:
  explicit Writer(const LookPage& page) : p_(page) {}

  std::string write() {
    const std::string title = "Features: " + p_.title;
    out_ << "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width\">\n<title>"
         << xml_text(title) << " - flowrun</title>\n"
         << report_style << style << "</head>\n<body>\n<main>\n<h1>" << xml_text(title) << "</h1>\n<p>" << xml_text(p_.said)
         << "</p>\n<p class=\"quiet\">" << p_.pictures.size() << " of " << p_.all << " pictures of " << xml_text(p_.data) << ", evenly spread; "
         << p_.grid << " x " << p_.grid << " patches of " << p_.width << " numbers each.";
    if (p_.bad > 0)
      out_ << " " << p_.bad << (p_.bad == 1 ? " file can't be decoded, and is left out." : " files can't be decoded, and are left out.");
    out_ << "</p>\n";
    captions();
    out_ << "<div class=\"ramp\"><span>cosine to the chosen patch (<span id=\"chosen\"></span>): <span id=\"least\"></span></span><canvas "
            "id=\"ramp\"></canvas><span>1</span></div>\n<div class=\"cards\">\n";
    for (size_t n = 0; n < p_.pictures.size(); ++n) card(n);
    out_ << "</div>\n</main>\n<script>const look = {\"grid\": " << p_.grid << ", \"width\": " << p_.codes.width
         << ", \"scale\": " << print("%.17g", p_.codes.scale) << ", \"codes\": \""
         << base64({reinterpret_cast<const uint8_t*>(p_.codes.codes_NK.data()), p_.codes.codes_NK.size()}) << "\"};</script>\n"
         << script << "</body>\n</html>\n";
    return out_.str();
  }

 private:
  void caption(const char* what, const std::string& text) { out_ << "<div><dt>" << what << "</dt><dd>" << text << "</dd></div>\n"; }

  void captions() {
    out_ << "<dl class=\"captions\">\n";
    caption("View", "The picture as the encoder sees it.");
    caption(
        "Principal components",
        print("The first three principal components of the patches' features as red, green and blue, with one basis for all pictures of this page: "
              "equal colours mean similar features. They hold %.0f %%, %.0f %% and %.0f %% of the variance. Percentiles 1 and 99 of each are the "
              "darkest and the brightest value.",
              100 * p_.basis.share[0], 100 * p_.basis.share[1], 100 * p_.basis.share[2]));
    caption(
        "Similarity",
        "Press a patch of any picture: the maps show the cosine of its feature to that of every patch of all pictures." +
            print(" The page computes it from %lld of %lld directions, in 8 bits; over %lld patches against all it is wrong by %.3f in the mean and "
                  "by %.3f at most.",
                  static_cast<long long>(p_.codes.width), static_cast<long long>(p_.width), static_cast<long long>(p_.codes.checked),
                  p_.codes.mean_error, p_.codes.most_error));
    caption("Attention",
            p_.no_attention.empty()
                ? print("How much the class token attends to each patch in the last block (block %lld), a map for each of its %lld heads: "
                        "black is 0, white the largest value of the head in this picture. Below each map its head's number, and the share of the "
                        "attention that "
                        "goes to patches; the rest goes to the class token itself and to registers.",
                        static_cast<long long>(p_.depth), static_cast<long long>(p_.heads))
                : xml_text(p_.no_attention));
    caption("Nearest pictures", "Of all " + std::to_string(p_.all) + " pictures, those with the largest cosine of " + xml_text(p_.vector) +
                                    "; below each " + (p_.classes ? "the cosine and the class. " + agreement() : std::string("the cosine.")));
    out_ << "</dl>\n";
  }

  std::string agreement() const {
    size_t same = 0, all = 0;
    for (const LookPicture& shown : p_.pictures) {
      for (const LookNeighbour& near : shown.near) same += near.same_class ? 1 : 0, ++all;
    }
    return std::to_string(same) + " of the " + std::to_string(all) + " shown have the class of their picture (green).";
  }

  void card(size_t n) {
    const LookPicture& shown = p_.pictures[n];
    const std::string name = name_of(shown.key);
    out_ << "<section class=\"card\"><h3>" << n + 1 << ". " << xml_text(name);
    if (!shown.label.empty()) out_ << " <span class=\"quiet\">" << xml_text(shown.label) << "</span>";
    out_ << "</h3>\n<div class=\"three\">" << figure(square(picture(shown.view, name)), "view")
         << figure(square(colours(shown.colours_N, p_.grid, "principal components of " + name)), "principal components")
         << figure(square("<canvas class=\"blocks\"></canvas>"), "similarity to the chosen patch") << "</div>\n";
    if (!shown.attention_HN.empty()) {
      out_ << "<h4>attention of the class token, by head</h4><div class=\"row heads\">";
      const auto patches = static_cast<size_t>(p_.grid * p_.grid);
      for (size_t h = 0; h < shown.attention_HN.size() / patches; ++h) {
        const float* const values = shown.attention_HN.data() + h * patches;
        double sum = 0;
        for (size_t i = 0; i < patches; ++i) sum += static_cast<double>(values[i]);
        const std::string which = std::to_string(h + 1);
        out_ << figure(head(values, p_.grid, "attention of head " + which), which + print(": %.0f %%", 100 * sum));
      }
      out_ << "</div>\n";
    }
    out_ << "<h4>nearest pictures</h4><div class=\"row near\">";
    for (const LookNeighbour& near : shown.near) {
      const std::string label = near.label.empty() ? ""
                                : near.same_class  ? " <span class=\"same\">" + xml_text(near.label) + "</span>"
                                                   : " " + xml_text(near.label);
      out_ << figure(picture(near.thumbnail, name_of(near.key)), print("%.3f", near.cosine) + label);
    }
    out_ << "</div></section>\n";
  }

  const LookPage& p_;
  std::ostringstream out_;
};

}  // namespace

std::string look_page(const LookPage& page) { return Writer(page).write(); }

}  // namespace flowrun::app
