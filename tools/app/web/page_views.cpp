// The second part of the page's script: what each tab shows.
#include "tools/app/web/page.h"

namespace flowrun::app {

const char* const page_views = R"js(
// A chart: one line for each run. Behind a smoothed line its values are drawn thin.
const wide = 620, high = 240, left = 58, right = 10, above = 8, below = 26;
function ticks(low, high_, count) {
  const step = 10 ** Math.floor(Math.log10((high_ - low) / count));
  const size = [1, 2, 5, 10].map((by) => by * step).find((one) => (high_ - low) / one <= count) ?? 10 * step;
  const out = [];
  for (let i = Math.ceil(low / size); i * size <= high_ * (1 + 1e-12) && out.length < 50; ++i) out.push(i * size);
  return out;
}
/// Of exponents of ten: 1, 2, 5 and 10 of few decades, else whole decades.
function log_ticks(low, high_) {
  const steps = high_ - low > 3 ? [1] : [1, 2, 5], out = [];
  for (let decade = Math.floor(low); decade <= high_; ++decade) out.push(...steps.map((by) => decade + Math.log10(by)).filter((y) => y >= low && y <= high_));
  return out.length > 10 ? out.filter((_, i) => i % Math.ceil(out.length / 8) === 0) : out.length > 1 ? out : ticks(low, high_, 5);
}
function smoothed(points) {
  let sum = 0, weight = 0;
  return points.map(([x, y]) => {
    if (y === null) return [x, null];
    sum = state.smooth * sum + (1 - state.smooth) * y;
    weight = state.smooth * weight + (1 - state.smooth);
    return [x, sum / weight];
  });
}
function chart(metric, curves) {
  const log = state.log, fine = (y) => typeof y === "number" && (!log || y > 0);
  const all = curves.flatMap((curve) => curve.points).filter((p) => fine(p[1]));
  const picture = svg("svg", { class: "chart", viewBox: `0 0 ${wide} ${high}`, role: "img", "aria-label": metric + " over steps, " + curves.map((curve) => curve.name).join(", ") });
  const figure = node("figure", {}, node("figcaption", { textContent: metric + (log ? " (logarithmic)" : "") }), picture);
  if (!all.length) {
    picture.append(svg("text", { x: wide / 2, y: high / 2, "text-anchor": "middle" }, log ? "no value above zero" : "no value that is finite"));
    return figure;
  }
  const to = log ? Math.log10 : (y) => y;
  let x0 = Infinity, x1 = -Infinity, y0 = Infinity, y1 = -Infinity;
  for (const [x, y] of all) x0 = Math.min(x0, x), x1 = Math.max(x1, x), y0 = Math.min(y0, to(y)), y1 = Math.max(y1, to(y));
  if (x0 === x1) x0 -= 1, x1 += 1;
  if (y1 - y0 < 1e-12 * Math.max(1, Math.abs(y0))) { const by = Math.abs(y0) * 0.05 || 1; y0 -= by, y1 += by; }
  const X = (x) => left + (x - x0) / (x1 - x0) * (wide - left - right), Y = (y) => high - below - (to(y) - y0) / (y1 - y0) * (high - above - below);
  for (const y of log ? log_ticks(y0, y1) : ticks(y0, y1, 5)) {
    const place = high - below - (y - y0) / (y1 - y0) * (high - above - below);
    picture.append(svg("line", { class: "grid", x1: left, x2: wide - right, y1: place, y2: place }));
    picture.append(svg("text", { x: left - 6, y: place + 4, "text-anchor": "end" }, number(log ? 10 ** y : Number(y.toPrecision(10)), 3)));
  }
  for (const x of ticks(x0, x1, 6)) picture.append(svg("text", { x: X(x), y: high - 8, "text-anchor": "middle" }, number(Number(x.toPrecision(10)))));
  const path = (points, kind, name) => {
    let d = "", pen = "M";
    for (const [x, y] of points) {
      if (!fine(y)) { pen = "M"; continue; }
      d += pen + X(x).toFixed(1) + " " + Y(y).toFixed(1);
      pen = "L";
    }
    const i = colour(name);
    picture.append(svg("path", { class: `${kind} c${i % 8}${i >= 8 ? " dashed" : ""}`, d: d.replace(/(M[^ML]+)(?=M|$)/g, "$1h.01") }));
  };
  for (const curve of curves) {
    if (state.smooth > 0) path(curve.points, "raw", curve.name);
    path(state.smooth > 0 ? smoothed(curve.points) : curve.points, "line", curve.name);
  }
  hover(picture, curves, X);
  return figure;
}
function hover(picture, curves, X) {
  const line = svg("line", { class: "at", y1: above, y2: high - below, visibility: "hidden" });
  picture.append(line);
  picture.onpointermove = (event) => {
    const box = picture.getBoundingClientRect(), x = (event.clientX - box.left) / box.width * wide;
    const near = curves.map((curve) => [curve.name, curve.points.reduce((best, p) => p[1] !== null && (!best || Math.abs(X(p[0]) - x) < Math.abs(X(best[0]) - x)) ? p : best, null)]).filter(([, p]) => p);
    if (!near.length) return;
    near.sort((a, b) => b[1][1] - a[1][1]);
    const place = X(near[0][1][0]);
    line.setAttribute("x1", place);
    line.setAttribute("x2", place);
    line.setAttribute("visibility", "visible");
    at("tip").textContent = near.map(([name, p]) => `step ${p[0]}  ${number(p[1], 5)}  ${name}`).join("\n");
    at("tip").style.display = "block";
    at("tip").style.left = Math.max(0, Math.min(event.clientX + 14, innerWidth - at("tip").offsetWidth - 8)) + "px";
    at("tip").style.top = Math.max(0, Math.min(event.clientY + 14, innerHeight - at("tip").offsetHeight - 8)) + "px";
  };
  picture.onpointerleave = () => { at("tip").style.display = "none"; line.setAttribute("visibility", "hidden"); };
}
function switches() {
  const log = node("input", { type: "checkbox", id: "log", checked: state.log });
  const smooth = node("input", { type: "range", id: "smooth", min: 0, max: 0.99, step: 0.01, value: state.smooth });
  const said = node("span", { textContent: state.smooth });
  const out = node("div", { className: "row" }, node("label", {}, log, "logarithmic"), node("label", {}, "smoothing", smooth, said));
  const same = () => { out.dataset.same = "switches " + state.log + " " + state.smooth; };
  log.onchange = () => { state.log = log.checked; same(); change({}); };
  smooth.oninput = () => { state.smooth = Number(smooth.value); said.textContent = smooth.value; same(); change({}); };
  same();
  return out;
}
function metric_boxes(known, wanted) {
  const out = node("div", { className: "metrics", role: "group", ariaLabel: "Metrics" }, ...known.map((name, i) => {
    const box = node("input", { type: "checkbox", id: "metric-" + i, checked: wanted.includes(name) });
    box.onchange = () => change({ metrics: box.checked ? [...wanted, name] : wanted.filter((one) => one !== name) });
    return node("label", {}, box, " " + name);
  }));
  out.dataset.same = JSON.stringify([known, wanted]);
  return out;
}
const key = (names) => node("div", { className: "key" }, ...names.map((name) => node("span", { className: "c" + colour(name) % 8 }, node("b", { textContent: (colour(name) >= 8 ? "┅ " : "━ ") + name }))));

const views = {
  async Curves() {
    const names = checked();
    if (!runs.length) return [hint("There is no run yet: flowrun PIPELINE.json --out " + folder + "/first makes one, and it appears here.")];
    if (!names.length) return [hint("Check runs in the table: their curves are drawn over each other.")];
    const ask = (metrics) => load(address("/api/curves", [...names.map((name) => ["name", name]), ...metrics.map((name) => ["metric", name])]));
    let found = await ask(state.metrics);
    const first = [/^loss$/, / (accuracy|miou)/, / /].flatMap((kind) => found.metrics.filter((name) => kind.test(name)));
    const wanted = state.metrics.length ? state.metrics : [...new Set(first)].slice(0, 6);
    if (!state.metrics.length && wanted.length) found = await ask(wanted);
    const charts = found.charts.filter((one) => one.curves.length).map((one) => chart(one.metric, one.curves));
    const many = names.length > found.most ? [hint(`Only the first ${found.most} of the checked runs are drawn.`)] : [];
    if (!found.all) many.push(hint(`Only the first ${found.charts.length} of the chosen charts are drawn: together they have too many points.`));
    return [switches(), metric_boxes(found.metrics, wanted), key(names), ...many, node("div", { className: "charts" }, ...charts)];
  },
  async Evaluations() {
    const list = checked().length ? runs.filter((run) => state.checked.includes(run.name)) : shown();
    const names = [...new Set(list.flatMap((run) => run.evaluations.map((one) => one.node)))].sort();
    if (!names.length) return [hint("No evaluation was made in these runs.")];
    const of = (run, name) => run.evaluations.find((one) => one.node === name);
    const top = Object.fromEntries(names.map((name) => {
      const found = list.map((run) => of(run, name)).filter((one) => one && one.last !== null);
      return [name, (found[0]?.more_is_better === false ? Math.min : Math.max)(...found.map((one) => one.last))];
    }));
    const lines = list.map((run) => node("tr", {}, node("td", { textContent: run.name }), ...names.map((name) => {
      const one = of(run, name);
      if (!one) return node("td");
      const best = one.best !== null && one.best !== one.last ? node("span", { className: "quiet", textContent: `  best ${told(one, one.best)}, step ${one.best_step}` }) : null;
      return node("td", {}, node("span", { className: one.last === top[name] && list.length > 1 ? "best" : "", textContent: told(one, one.last) }), best);
    })));
    const heads = names.map((name) => node("th", { textContent: name + " " + (list.map((run) => of(run, name)).find(Boolean)?.value ?? "") }));
    return [hint((checked().length ? "The checked runs." : "All runs of the table.") + " The last value of each evaluation; the star marks the best of a column."),
      node("div", { className: "scroll" }, node("table", {}, node("thead", {}, node("tr", {}, node("th", { textContent: "run" }), ...heads)), node("tbody", {}, ...lines)))];
  },
  async Diff() {
    const names = checked();
    if (names.length !== 2) return [hint("Check two runs: what differs between their pipelines is shown side by side.")];
    const found = await load(address("/api/diff", [["a", names[0]], ["b", names[1]]]));
    if (!found.changes.length) return [hint("The pipelines are the same.")];
    const text = (value) => value === null ? "" : typeof value === "string" ? value : JSON.stringify(value);
    return [node("table", { className: "diff" }, node("thead", {}, node("tr", {}, ...["", found.a, found.b].map((words) => node("th", { textContent: words })))),
      node("tbody", {}, ...found.changes.map((one) => node("tr", {}, ...[one.path, text(one.from), text(one.to)].map((words) => node("td", { textContent: words }))))))];
  },
  async Graph() {
    const run = chosen();
    if (!run) return [hint("Choose a run in the table.")];
    const source = address("/api/graph", [["name", run.name], ["at", run.changed], ["look", run.status === "running" ? Date.now() : 0]]);
    const answer = await fetch(source);
    if (!answer.ok) throw new Error((await answer.text()).trim());
    const picture = node("img", { className: "graph", alt: "The graph of " + run.name, src: URL.createObjectURL(await answer.blob()) });
    await picture.decode();
    URL.revokeObjectURL(picture.src);
    const words = run.status === "running" ? "Coloured by the share of the time so far; it follows the run." : "Coloured by the share of the time, where the run has statistics.";
    return [node("h2", { textContent: run.name }), node("p", { className: "quiet" }, words + " ", node("a", { href: address("/api/graph", [["name", run.name]]), target: "_blank", rel: "noopener", textContent: "Alone, with descriptions" })),
      node("div", { className: "scroll" }, picture)];
  },
  async Pictures() {
    const run = chosen();
    if (!run) return [hint("Choose a run in the table.")];
    const found = await load(address("/api/run", [["name", run.name]]));
    const step = (file) => Number(file.match(/(\d+)\.png$/)?.[1] ?? -1);
    const order = found.pictures.toSorted((a, b) => step(a.file) - step(b.file) || a.file.localeCompare(b.file));
    if (!order.length) return [hint("The run has no pictures: report.contact_sheet draws them.")];
    return [node("h2", { textContent: run.name }), ...order.map((one) => node("figure", {}, node("figcaption", { textContent: one.file }),
      node("img", { loading: "lazy", alt: one.file + " of " + run.name, src: file_address(run, one.file) + "?tag=" + encodeURIComponent(one.tag) })))];
  },
  async Run() {
    const run = chosen();
    if (!run) return [hint("Choose a run in the table.")];
    const found = await load(address("/api/run", [["name", run.name]]));
    const sign = { good: "✓", doubtful: "?", bad: "!" };
    const verdict = found.verdict.map((said) => node("li", { className: said.mood }, node("b", { textContent: sign[said.mood] }), " " + said.text));
    const facts = ["status", "step", "loss", "images/s", "seed", "device", "started", "changed"].map((column) => node("tr", {}, node("th", { textContent: column }), node("td", { textContent: cell(run, column) })));
    const lines = found.evaluations.map((one) => node("tr", {}, ...[one.node, one.value, told(one, one.start), told(one, one.last), one.best === null ? "" : told(one, one.best) + ", step " + one.best_step, told(one, one.pixels)].map((words) => node("td", { textContent: words }))));
    const heads = ["evaluation", "value", "before training", "last", "best", "bare pixels"].map((words) => node("th", { textContent: words }));
    return [node("h2", { textContent: run.name }), found.about ? node("p", { textContent: found.about }) : null,
      verdict.length ? node("ul", { className: "verdict" }, ...verdict) : null,
      found.error ? node("pre", { className: "bad", textContent: found.error }) : null,
      found.report ? node("p", {}, node("a", { href: file_address(run, "report.html"), target: "_blank", rel: "noopener", textContent: "The report" })) : hint("No report.html yet: flowrun report writes it at any time."),
      node("table", {}, node("tbody", {}, ...facts)),
      lines.length ? node("h2", { textContent: "Evaluations" }) : null,
      lines.length ? node("table", {}, node("thead", {}, node("tr", {}, ...heads)), node("tbody", {}, ...lines)) : null,
      found.not_finite ? node("p", { className: "bad", textContent: `The loss was not finite in ${found.not_finite} of the steps reported.` }) : null,
      found.quarantined ? hint(`${found.quarantined} samples failed and were replaced, or were kept with a remark: quarantine.jsonl.`) : null,
      found.warnings.length ? node("h2", { textContent: "Warnings of the log" }) : null,
      found.warnings.length ? node("pre", { textContent: found.warnings.join("\n") }) : null].filter(Boolean);
  },
};

at("filter").oninput = () => change({ filter: at("filter").value });
at("check").onclick = () => change({ checked: [...new Set([...state.checked, ...shown().map((run) => run.name)])] });
at("uncheck").onclick = () => change({ checked: [] });
addEventListener("hashchange", () => { read(); rows(); view(); });
addEventListener("keydown", (event) => {
  if (event.key !== "/" || /INPUT|TEXTAREA/.test(document.activeElement?.tagName)) return;
  event.preventDefault();
  at("filter").focus();
});
document.addEventListener("visibilitychange", () => { if (!document.hidden) look(); });
read();
draw_tabs();
again();
)js";

}  // namespace flowrun::app
