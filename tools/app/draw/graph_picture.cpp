#include "tools/app/draw/graph_picture.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>
#include <string_view>

#include "tools/app/escape.h"

namespace flowrun::app {
namespace {

constexpr int bands = 5;
constexpr double gap = 46, band_gap = 26, band_head = 20, apart = 16, lane = 12;

/// Sources share the band of the sample nodes; whole nodes stand between device nodes.
int band_of(Scope scope) {
  switch (scope) {
    case Scope::source:
    case Scope::sample:
      return 0;
    case Scope::batch:
      return 1;
    case Scope::device:
    case Scope::whole:
      return 2;
    case Scope::step:
      return 3;
    case Scope::evaluation:
      return 4;
  }
  return 0;
}

const char* const band_titles[bands] = {"per sample, any thread", "per group, any thread", "per group, on the device, in order",
                                        "per step, on the device, in order", "per evaluation"};
const char* const band_fills[bands] = {"#dbe9f6", "#e3f1dc", "#fbe5d0", "#f6d9dc", "#ece2f2"};
const char* const whole_fill = "#f5c79c";  // in the band of the device
const char* const model_colours[] = {"#8a5a00", "#00639c", "#7a2f6b", "#00694a", "#a33a00", "#3d4aa0"};

std::string number(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.1f", value);
  return text;
}

/// A node, or the point where an edge crosses a layer.
struct Cell {
  int node = -1;
  int layer = 0;
  double width = lane, height = 0, x = 0, wish = 0;
  std::vector<int> up, down;  // cells
};

struct Edge {
  int from, to;
  bool data = false;
  std::vector<std::string> ports, titles;
  std::vector<int> way;  // cells, both ends included
};

/// Sugiyama's method: layers, order by barycentres, places by least squares.
class Layout {
 public:
  explicit Layout(const CheckedPipeline& pipeline, bool timed) : p_(pipeline), timed_(timed) {
    find_edges();
    assign_layers();
    make_cells();
    order();
    place();
  }

  std::vector<Cell> cells;  // the first are the nodes
  std::vector<Edge> edges;
  std::vector<std::vector<int>> layers;
  std::vector<int> band_of_layer;
  std::vector<double> top, height;  // of layers
  double width = 0, bottom = 0;

  std::vector<std::pair<int, bool>> models_of(const CheckedNode& node) const {
    std::map<int, bool> uses;  // model: is it written
    for (const ModelUse& use : node.uses) uses[use.model] |= use.access == Models::Access::writes;
    return {uses.begin(), uses.end()};
  }

 private:
  void find_edges() {
    std::map<std::pair<int, int>, Edge> found;
    for (int n = 0; n < static_cast<int>(p_.nodes.size()); ++n) {
      const CheckedNode& node = p_.nodes[static_cast<size_t>(n)];
      for (size_t port = 0; port < node.sources.size(); ++port) {
        const PortSource& source = node.sources[port];
        if (source.node < 0) continue;
        const CheckedNode& from = p_.nodes[static_cast<size_t>(source.node)];
        const PortDoc& out = from.ports[static_cast<size_t>(source.port)];
        Edge& edge = found.try_emplace({source.node, n}, Edge{source.node, n}).first->second;
        edge.data = true;
        if (std::find(edge.ports.begin(), edge.ports.end(), out.name) == edge.ports.end()) edge.ports.push_back(out.name);
        edge.titles.push_back(from.name + "." + out.name + " to " + node.name + "." + node.ports[port].name + ": " + out.type->name);
      }
      for (const int before : node.after) {
        Edge& edge = found.try_emplace({before, n}, Edge{before, n}).first->second;
        edge.titles.push_back(node.name + " runs after " + p_.nodes[static_cast<size_t>(before)].name);
      }
    }
    for (auto& [key, edge] : found) edges.push_back(std::move(edge));
  }

  /// The longest way from the top of the node's band; nodes are sorted, so one pass does.
  void assign_layers() {
    const size_t count = p_.nodes.size();
    std::vector<int> within(count, 0);
    std::vector<int> depth(bands, 0);
    for (size_t n = 0; n < count; ++n) {
      const int band = band_of(p_.nodes[n].scope());
      for (const Edge& edge : edges) {
        const auto from = static_cast<size_t>(edge.from);
        if (edge.to == static_cast<int>(n) && band_of(p_.nodes[from].scope()) == band) within[n] = std::max(within[n], within[from] + 1);
      }
      depth[static_cast<size_t>(band)] = std::max(depth[static_cast<size_t>(band)], within[n] + 1);
    }
    std::vector<int> first(bands, 0);
    for (size_t b = 0; b < bands; ++b) {
      first[b] = static_cast<int>(band_of_layer.size());
      band_of_layer.insert(band_of_layer.end(), static_cast<size_t>(depth[b]), static_cast<int>(b));
    }
    layers.resize(band_of_layer.size());
    for (size_t n = 0; n < count; ++n) {
      Cell cell;
      cell.node = static_cast<int>(n);
      cell.layer = first[static_cast<size_t>(band_of(p_.nodes[n].scope()))] + within[n];
      const CheckedNode& node = p_.nodes[n];
      double text = std::max(static_cast<double>(node.name.size()) * 7.2, static_cast<double>(std::string(node.type->info.type).size()) * 5.4);
      for (const auto& [m, writes] : models_of(node)) {
        text = std::max(text, static_cast<double>(p_.models[static_cast<size_t>(m)].name.size() + (writes ? 7 : 0)) * 5.2 + 16);
      }
      cell.width = std::max(64.0, text + 18);
      cell.height = 36 + 13 * static_cast<double>(models_of(node).size()) + (timed_ ? 13 : 0);
      cells.push_back(cell);
    }
  }

  /// An edge over several layers gets a cell in each, so that boxes leave room for it. Edges of one output share them.
  void make_cells() {
    std::map<std::pair<int, int>, int> shared;  // node, layer
    const auto join = [&](int above, int below) {
      auto& down = cells[static_cast<size_t>(above)].down;
      if (std::find(down.begin(), down.end(), below) != down.end()) return;
      down.push_back(below);
      cells[static_cast<size_t>(below)].up.push_back(above);
    };
    for (Edge& edge : edges) {
      edge.way.push_back(edge.from);
      const int last = cells[static_cast<size_t>(edge.to)].layer;
      for (int layer = cells[static_cast<size_t>(edge.from)].layer + 1; layer < last; ++layer) {
        const auto [found, fresh] = shared.try_emplace({edge.from * 2 + (edge.data ? 1 : 0), layer}, static_cast<int>(cells.size()));
        if (fresh) {
          Cell cell;
          cell.layer = layer;
          cells.push_back(cell);
        }
        join(edge.way.back(), found->second);
        edge.way.push_back(found->second);
      }
      join(edge.way.back(), edge.to);
      edge.way.push_back(edge.to);
    }
  }

  /// The training stream is at the left; the others follow in the order of their sources.
  void order() {
    const auto stream = [&](int cell) {
      while (cells[static_cast<size_t>(cell)].node < 0) cell = cells[static_cast<size_t>(cell)].up[0];
      const auto& feeds = p_.nodes[static_cast<size_t>(cell)].feeds;
      if (p_.nodes[static_cast<size_t>(cell)].scope() == Scope::source) return cell == p_.training_source ? -1 : cell;
      return feeds.empty() || feeds[0] == p_.training_source ? -1 : feeds[0];
    };
    for (int c = 0; c < static_cast<int>(cells.size()); ++c) layers[static_cast<size_t>(cells[static_cast<size_t>(c)].layer)].push_back(c);
    for (auto& layer : layers) std::stable_sort(layer.begin(), layer.end(), [&](int a, int b) { return stream(a) < stream(b); });
    number_layers();
    auto best = layers;
    int64_t fewest = crossings();
    for (int round = 0; round < 40 && fewest > 0; ++round) {
      round % 2 == 0 ? sweep(1, static_cast<int>(layers.size()), 1) : sweep(static_cast<int>(layers.size()) - 2, -1, -1);
      if (const int64_t now = crossings(); now < fewest) fewest = now, best = layers;
    }
    layers = best;
    number_layers();
  }

  void number_layers() {
    for (const auto& layer : layers) {
      for (size_t i = 0; i < layer.size(); ++i) cells[static_cast<size_t>(layer[i])].x = static_cast<double>(i);
    }
  }

  void sweep(int from, int to, int by) {
    for (int l = from; l != to; l += by) {
      auto& layer = layers[static_cast<size_t>(l)];
      for (const int c : layer) {
        Cell& cell = cells[static_cast<size_t>(c)];
        const auto& beside = by > 0 ? cell.up : cell.down;
        cell.wish = cell.x;
        if (beside.empty()) continue;
        cell.wish = 0;
        for (const int other : beside) cell.wish += cells[static_cast<size_t>(other)].x / static_cast<double>(beside.size());
      }
      std::stable_sort(layer.begin(), layer.end(),
                       [&](int a, int b) { return cells[static_cast<size_t>(a)].wish < cells[static_cast<size_t>(b)].wish; });
      for (size_t i = 0; i < layer.size(); ++i) cells[static_cast<size_t>(layer[i])].x = static_cast<double>(i);
    }
  }

  int64_t crossings() const {
    int64_t count = 0;
    for (const auto& layer : layers) {
      std::vector<std::pair<double, double>> lines;
      for (const int c : layer) {
        for (const int below : cells[static_cast<size_t>(c)].down)
          lines.emplace_back(cells[static_cast<size_t>(c)].x, cells[static_cast<size_t>(below)].x);
      }
      for (size_t i = 0; i < lines.size(); ++i) {
        for (size_t j = i + 1; j < lines.size(); ++j) count += (lines[i].first - lines[j].first) * (lines[i].second - lines[j].second) < 0;
      }
    }
    return count;
  }

  double distance(int left, int right) const {
    return (cells[static_cast<size_t>(left)].width + cells[static_cast<size_t>(right)].width) / 2 + apart;
  }

  /// Moves each layer as near to its neighbours as its order and the widths allow.
  void place() {
    for (const auto& layer : layers) {
      double at = 0;
      for (size_t i = 0; i < layer.size(); ++i) cells[static_cast<size_t>(layer[i])].x = at += i > 0 ? distance(layer[i - 1], layer[i]) : 0;
    }
    for (int round = 0; round < 60; ++round) {
      const bool down = round % 2 == 0;
      for (size_t l = 0; l < layers.size(); ++l) settle(layers[down ? l : layers.size() - 1 - l], round);
    }
    double left = 1e9, right = -1e9;
    for (const Cell& cell : cells) left = std::min(left, cell.x - cell.width / 2), right = std::max(right, cell.x + cell.width / 2);
    for (Cell& cell : cells) cell.x += 20 - left;
    width = right - left + 40;
    double y = 8;
    for (size_t l = 0; l < layers.size(); ++l) {
      const bool begins = l == 0 || band_of_layer[l] != band_of_layer[l - 1];
      if (l > 0) y += begins ? band_gap + gap / 2 : gap;
      if (begins) y += band_head;
      top.push_back(y);
      height.push_back(0);
      for (const int c : layers[l]) height[l] = std::max(height[l], cells[static_cast<size_t>(c)].height);
      y += height[l];
    }
    bottom = y + 14;
  }

  /// Least squares under distances: pools of cells that would overlap move as one (pool adjacent violators).
  void settle(const std::vector<int>& layer, int round) {
    struct Pool {
      double sum, weight;
      size_t cells;
    };
    std::vector<Pool> pools;
    std::vector<double> offset;
    for (size_t i = 0; i < layer.size(); ++i) {
      const Cell& cell = cells[static_cast<size_t>(layer[i])];
      offset.push_back(i == 0 ? 0 : offset.back() + distance(layer[i - 1], layer[i]));
      double sum = 0, weight = 0;
      const auto pull = [&](const std::vector<int>& beside) {
        for (const int other : beside) {
          const Cell& o = cells[static_cast<size_t>(other)];
          const double strength = cell.node < 0 && o.node < 0 ? 8 : cell.node < 0 || o.node < 0 ? 2 : 1;  // long edges are straight
          sum += o.x * strength, weight += strength;
        }
      };
      if (round % 3 != 1) pull(cell.up);
      if (round % 3 != 0) pull(cell.down);
      if (weight == 0) sum = cell.x * 0.1, weight = 0.1;
      pools.push_back({sum - offset[i] * weight, weight, 1});
      while (pools.size() > 1) {
        Pool& last = pools.back();
        Pool& before = pools[pools.size() - 2];
        if (before.sum / before.weight < last.sum / last.weight) break;
        before = {before.sum + last.sum, before.weight + last.weight, before.cells + last.cells};
        pools.pop_back();
      }
    }
    size_t i = 0;
    for (const Pool& pool : pools) {
      for (size_t k = 0; k < pool.cells; ++k, ++i) cells[static_cast<size_t>(layer[i])].x = pool.sum / pool.weight + offset[i];
    }
  }

  const CheckedPipeline& p_;
  bool timed_;
};

/// From pale yellow to red.
std::string heat(double part) {
  const double t = std::clamp(part, 0.0, 1.0);
  const auto mix = [&](double a, double b) { return static_cast<int>(std::lround(a + (b - a) * t)); };
  char text[8];
  std::snprintf(text, sizeof text, "#%02x%02x%02x", mix(255, 240), mix(250, 120), mix(225, 95));
  return text;
}

class GraphPicture {
 public:
  GraphPicture(const CheckedPipeline& pipeline, const std::vector<double>& shares)
      : p_(pipeline), shares_(shares), layout_(pipeline, !shares.empty()) {
    for (const double share : shares) most_ = std::max(most_, share);
  }

  std::string draw() {
    double models_width = 0;
    for (const CheckedModel& model : p_.models) {
      models_width =
          std::max(models_width,
                   std::max(static_cast<double>(model.name.size()) * 7.2, static_cast<double>(std::string(model.type->info.type).size()) * 5.4) + 26);
    }
    inside_ = std::max(layout_.width, 300.0);
    const double width = inside_ + 16 + (models_width > 0 ? models_width + 24 : 0);
    for (size_t l = 0; l < layout_.layers.size(); ++l) band(l);
    for (const Edge& edge : layout_.edges) line(edge);
    for (size_t c = 0; c < p_.nodes.size(); ++c) box(layout_.cells[c]);
    for (const Label& label : labels_) {
      text("port", label.x, label.y, label.text);
      body_ << '\n';
    }
    for (const auto& title : titles_) body_ << title;
    double bottom = models(inside_ + 24, models_width);
    bottom = std::max(bottom, layout_.bottom);
    if (!shares_.empty()) legend(bottom), bottom += 34;
    std::ostringstream out;
    out << "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"flowrun-graph\" width=\"" << number(width) << "\" height=\"" << number(bottom + 8)
        << "\" viewBox=\"0 0 " << number(width) << ' ' << number(bottom + 8) << "\" font-family=\"Helvetica, Arial, sans-serif\">\n"
        << style << "<rect " << look("page") << " width=\"100%\" height=\"100%\"/>\n"
        << body_.str() << "</svg>\n";
    return out.str();
  }

 private:
  /// Light colours are attributes, which every SVG viewer supports; on a dark page a browser uses these instead.
  static constexpr const char* style = R"(<style>
@media (prefers-color-scheme: dark) {
  .flowrun-graph .page { fill: #17181b; }
  .flowrun-graph .band { fill: #212328; stroke: #3a3d45; }
  .flowrun-graph .title, .flowrun-graph .port { fill: #b4b6bd; }
  .flowrun-graph .halo { fill: #212328; stroke: #212328; }
  .flowrun-graph .edge { stroke: #9699a3; }
  .flowrun-graph .head { fill: #9699a3; }
}
</style>
)";

  /// class="KIND" with the light attributes of its kind.
  static std::string look(const std::string& kind) {
    static const std::map<std::string, const char*> attributes = {
        {"page", "fill=\"#ffffff\""},
        {"band", "fill=\"#f7f7f8\" stroke=\"#dcdce0\""},
        {"title", "fill=\"#55555c\" font-size=\"10\""},
        {"port", "fill=\"#55555c\" font-size=\"9\""},
        {"edge", "fill=\"none\" stroke=\"#77777f\" stroke-width=\"1.2\""},
        {"edge then", "fill=\"none\" stroke=\"#77777f\" stroke-width=\"1.2\" stroke-dasharray=\"2 3\""},
        {"head", "fill=\"#77777f\""},
        {"box", "stroke=\"#88888f\""},
        {"name", "font-size=\"12\" font-weight=\"bold\""},
        {"type", "fill=\"#4a4a50\" font-size=\"9.5\""},
        {"model", "font-size=\"9.5\""},
    };
    return "class=\"" + kind + "\" " + attributes.at(kind);
  }

  /// Text on lines has an outline in the background colour, drawn first, so that it is readable.
  static std::string words_on_lines(const std::string& kind, const std::string& place, const std::string& words) {
    const std::string size = kind == "title" ? "10" : "9", text = place + ">" + xml_text(words) + "</text>";
    return "<text class=\"halo\" fill=\"#f7f7f8\" stroke=\"#f7f7f8\" stroke-width=\"3\" stroke-linejoin=\"round\" font-size=\"" + size + "\" " +
           text + "<text " + look(kind) + " " + text;
  }

  struct Label {
    double x, y, half;  // the middle of its base line
    std::string text;
  };

  double bottom_of(size_t l) const { return layout_.top[l] + layout_.height[l]; }

  void band(size_t l) {
    if (l > 0 && layout_.band_of_layer[l] == layout_.band_of_layer[l - 1]) return;
    size_t last = l;
    while (last + 1 < layout_.layers.size() && layout_.band_of_layer[last + 1] == layout_.band_of_layer[l]) ++last;
    const double from = layout_.top[l] - band_head - 2, to = bottom_of(last) + 12;
    body_ << "<rect " << look("band") << " x=\"8\" y=\"" << number(from) << "\" width=\"" << number(inside_ - 8) << "\" height=\""
          << number(to - from) << "\" rx=\"8\"/>\n";
    const std::string title = band_titles[layout_.band_of_layer[l]];
    titles_.push_back(words_on_lines("title", "x=\"16\" y=\"" + number(from + 13) + "\"", title) + "\n");
    const double half = static_cast<double>(title.size()) * 2.6 + 2;
    taken_.push_back({16 + half, from + 13, half, title});
  }

  /// The points where edges meet a box: side by side, in the order of their other ends.
  double meets(int cell, const Edge& edge, bool below) const {
    const Cell& at = layout_.cells[static_cast<size_t>(cell)];
    std::vector<std::pair<double, const Edge*>> others;
    std::set<int> seen;
    double mine = 0;
    for (const Edge& other : layout_.edges) {
      if ((below ? other.from : other.to) != cell) continue;
      const int beside = below ? other.way[1] : other.way[other.way.size() - 2];
      const double x = layout_.cells[static_cast<size_t>(beside)].x;
      if (&other == &edge) mine = x;
      if (seen.insert(beside).second) others.emplace_back(x, &other);
    }
    double before = 0;
    for (const auto& [x, other] : others) before += x < mine;
    const double step = std::min(30.0, (at.width - 16) / static_cast<double>(others.size()));
    return at.x + (before - (static_cast<double>(others.size()) - 1) / 2) * step;
  }

  void line(const Edge& edge) {
    const auto cell = [&](int c) -> const Cell& { return layout_.cells[static_cast<size_t>(c)]; };
    double x = meets(edge.from, edge, true), y = layout_.top[static_cast<size_t>(cell(edge.from).layer)] + cell(edge.from).height;
    std::ostringstream path;
    path << 'M' << number(x) << ',' << number(y);
    for (size_t i = 1; i < edge.way.size(); ++i) {
      const Cell& next = cell(edge.way[i]);
      const bool last = i + 1 == edge.way.size();
      const auto l = static_cast<size_t>(next.layer);
      const double from = bottom_of(l - 1), to_x = last ? meets(edge.to, edge, false) : next.x, to_y = layout_.top[l] - (last ? 5 : 0);
      if (from > y) path << " L" << number(x) << ',' << number(from);
      const double middle = (from + to_y) / 2;
      path << " C" << number(x) << ',' << number(middle) << ' ' << number(to_x) << ',' << number(middle) << ' ' << number(to_x) << ','
           << number(to_y);
      if (last) label(edge, x, to_x, from, to_y);
      x = to_x, y = to_y;
      if (!last) path << " L" << number(x) << ',' << number(y = bottom_of(l));
    }
    std::string title;
    for (const std::string& text : edge.titles) title += (title.empty() ? "" : "\n") + text;
    body_ << "<g><title>" << xml_text(title) << "</title><path " << look(edge.data ? "edge" : "edge then") << " d=\"" << path.str() << "\"/><path "
          << look("head") << " d=\"M" << number(x) << ',' << number(y + 5) << " l-3.5,-7 h7 z\"/></g>\n";
  }

  /// Labels an edge with its type, on its last segment, if no other words are there; otherwise only the tooltip has it.
  void label(const Edge& edge, double x0, double x1, double y0, double y1) {
    std::string ports;
    for (const std::string& port : edge.ports) ports += (ports.empty() ? "" : ", ") + port;
    if (!edge.data) ports = "then";
    const double half = static_cast<double>(ports.size()) * 2.35 + 2;
    for (const double t : {0.6, 0.42, 0.78, 0.28, 0.9}) {
      const double x = x0 + (x1 - x0) * (3 * t * t - 2 * t * t * t), u = 1 - t;
      const double y = y0 * u * u * u + (y0 + y1) / 2 * 3 * u * t + y1 * t * t * t + 3;
      const bool taken = std::any_of(taken_.begin(), taken_.end(),
                                     [&](const Label& other) { return std::abs(other.y - y) < 9.5 && std::abs(other.x - x) < other.half + half; });
      if (taken) continue;
      taken_.push_back({x, y, half, ports});
      return labels_.push_back(taken_.back());
    }
  }

  void text(const char* kind, double x, double y, const std::string& words, const std::string& more = "") {
    const std::string place = "text-anchor=\"middle\" x=\"" + number(x) + "\" y=\"" + number(y) + '"' + more;
    if (std::string_view(kind) == "port") {
      body_ << words_on_lines(kind, place, words);
    } else {
      body_ << "<text " << look(kind) << ' ' << place << '>' << xml_text(words) << "</text>";
    }
  }

  static std::string colour_of_model(int model) { return model_colours[static_cast<size_t>(model) % std::size(model_colours)]; }

  void box(const Cell& cell) {
    const CheckedNode& node = p_.nodes[static_cast<size_t>(cell.node)];
    double y = layout_.top[static_cast<size_t>(cell.layer)];
    const bool timed = !shares_.empty();
    const double share = timed ? shares_[static_cast<size_t>(cell.node)] : 0;
    const std::string by_scope = node.scope() == Scope::whole ? whole_fill : band_fills[band_of(node.scope())];
    const std::string fill = timed ? heat(most_ > 0 ? share / most_ : 0) : by_scope;
    body_ << "<g><title>" << xml_text(std::string(node.type->info.type) + ": " + node.type->info.brief) << "</title><rect " << look("box") << " x=\""
          << number(cell.x - cell.width / 2) << "\" y=\"" << number(y) << "\" width=\"" << number(cell.width) << "\" height=\"" << number(cell.height)
          << "\" rx=\"5\" fill=\"" << fill << "\"/>";
    text("name", cell.x, y += 15, node.name, " fill=\"#1b1b1f\"");
    text("type", cell.x, y += 13, node.type->info.type);
    for (const auto& [model, writes] : layout_.models_of(node)) {
      text("model", cell.x, y += 13, (writes ? "writes " : "") + p_.models[static_cast<size_t>(model)].name,
           " fill=\"" + colour_of_model(model) + "\"" + (writes ? " font-weight=\"bold\"" : ""));
    }
    if (timed) text("type", cell.x, y + 13, number(share * 100) + " %");
    body_ << "</g>\n";
  }

  /// Cylinders, each beside the nodes that use it. Returns where the last one ends.
  double models(double left, double width) {
    double free = 8;
    std::vector<std::pair<double, int>> order;
    for (int m = 0; m < static_cast<int>(p_.models.size()); ++m) {
      double sum = 0, users = 0;
      for (size_t n = 0; n < p_.nodes.size(); ++n) {
        for (const auto& [model, writes] : layout_.models_of(p_.nodes[n])) {
          if (model == m) sum += layout_.top[static_cast<size_t>(layout_.cells[n].layer)], ++users;
        }
      }
      order.emplace_back(users > 0 ? sum / users : 0, m);
    }
    std::sort(order.begin(), order.end());
    for (const auto& [y, m] : order) {
      const CheckedModel& model = p_.models[static_cast<size_t>(m)];
      const double at = std::max(free, y), high = 46, middle = left + width / 2;
      const std::string w = number(width), r = number(width / 2);
      body_ << "<g><title>" << xml_text(std::string(model.type->info.type) + ": " + model.type->info.brief) << "</title><g fill=\"#fff6d5\" stroke=\""
            << colour_of_model(m) << "\"><path d=\"M" << number(left) << ',' << number(at + 6) << " v" << number(high - 12) << " a" << r
            << ",6 0 0 0 " << w << ",0 v-" << number(high - 12) << "\"/><ellipse cx=\"" << number(middle) << "\" cy=\"" << number(at + 6)
            << "\" rx=\"" << r << "\" ry=\"6\"/></g>";
      text("name", middle, at + 26, model.name, " fill=\"" + colour_of_model(m) + "\"");
      text("type", middle, at + 38, model.type->info.type);
      body_ << "</g>\n";
      free = at + high + 14;
    }
    return free;
  }

  void legend(double y) {
    body_ << words_on_lines("title", "x=\"16\" y=\"" + number(y + 22) + "\"", "share of all busy time: 0 %");
    constexpr int steps = 20;
    for (int i = 0; i < steps; ++i) {
      body_ << "<rect x=\"" << number(150 + i * 6) << "\" y=\"" << number(y + 13) << "\" width=\"6.2\" height=\"11\" fill=\""
            << heat(static_cast<double>(i) / (steps - 1)) << "\"/>";
    }
    body_ << words_on_lines("title", "x=\"276\" y=\"" + number(y + 22) + "\"", number(most_ * 100) + " %") << "\n";
  }

  const CheckedPipeline& p_;
  const std::vector<double>& shares_;
  Layout layout_;
  double most_ = 0, inside_ = 0;
  std::ostringstream body_;
  std::vector<Label> labels_, taken_;  // of edges; these and the titles of bands
  std::vector<std::string> titles_;    // of bands
};

}  // namespace

std::vector<double> time_shares(const CheckedPipeline& pipeline, const nlohmann::ordered_json& stats) {
  std::vector<double> shares;
  double sum = 0;
  const bool known = stats.is_object() && stats.contains("nodes") && stats["nodes"].is_object();
  const nlohmann::ordered_json nodes = known ? stats["nodes"] : nlohmann::ordered_json::object();
  for (const CheckedNode& node : pipeline.nodes) {
    const auto found = nodes.find(node.name);
    const bool timed = found != nodes.end() && found->is_object() && found->contains("busy") && (*found)["busy"].is_number();
    shares.push_back(timed ? (*found)["busy"].get<double>() : 0);
    sum += shares.back();
  }
  for (double& share : shares) share = sum > 0 ? share / sum : 0;
  return shares;
}

std::string graph_svg(const CheckedPipeline& pipeline, const std::vector<double>& shares) { return GraphPicture(pipeline, shares).draw(); }

}  // namespace flowrun::app
