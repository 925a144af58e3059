// Text of runs reaches the page as text only (textContent), never as HTML: names and pipelines may come from strangers.
#include "tools/app/web/page.h"

namespace flowrun::app {

const char* const page_script = R"js("use strict";
const at = (id) => document.getElementById(id);
const tabs = ["Curves", "Evaluations", "Diff", "Graph", "Pictures", "Run"];
// What the address keeps: tab, the run chosen, runs checked, metrics shown, filter, order.
const state = { tab: "Curves", run: "", checked: [], metrics: [], filter: "", sort: "name", down: false, log: false, smooth: 0 };
let runs = [], folder = "", columns = [], drawn = "", times = "", lost = false;

function node(name, properties = {}, ...inside) {
  const out = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) {
    if (key in out && key !== "list") out[key] = value; else out.setAttribute(key, value);
  }
  out.append(...inside.filter((part) => part !== null && part !== undefined));
  return out;
}
function svg(name, attributes, text) {
  const out = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) out.setAttribute(key, value);
  if (text !== undefined) out.textContent = text;
  return out;
}
function number(value, digits = 4) {
  if (typeof value !== "number") return "";
  if (Number.isInteger(value) && Math.abs(value) < 1e9) return String(value);
  return Math.abs(value) >= 1e-4 && Math.abs(value) < 1e6 ? String(Number(value.toPrecision(digits))) : value.toExponential(2);
}
const told = (found, value) => typeof value !== "number" ? "" : found.share ? (100 * value).toFixed(1) + " %" : number(value);
function moment(seconds) {
  if (typeof seconds !== "number") return "";
  const time = new Date(1000 * seconds), two = (part) => String(part).padStart(2, "0");
  return `${time.getFullYear()}-${two(time.getMonth() + 1)}-${two(time.getDate())} ${two(time.getHours())}:${two(time.getMinutes())}`;
}
const address = (path, pairs) => path + "?" + pairs.map(([key, value]) => key + "=" + encodeURIComponent(value)).join("&");
const file_address = (run, file) => "/run/" + (run.name === "." ? "" : encodeURIComponent(run.name) + "/") + encodeURIComponent(file);
async function load(path) {
  const answer = await fetch(path);
  if (!answer.ok) throw new Error((await answer.text()).trim());
  return answer.json();
}

// The address.
function read() {
  const said = new URLSearchParams(location.hash.slice(1));
  state.tab = tabs.includes(said.get("tab")) ? said.get("tab") : "Curves";
  state.run = said.get("run") ?? "";
  state.checked = said.getAll("with");
  state.metrics = said.getAll("metric");
  state.filter = said.get("filter") ?? "";
  state.sort = said.get("sort") ?? "name";
  state.down = said.has("down");
  state.log = said.has("log");
  state.smooth = Math.min(0.99, Math.max(0, Number(said.get("smooth")) || 0));
}
function keep() {
  const said = new URLSearchParams({ tab: state.tab });
  for (const [key, value] of [["run", state.run], ["filter", state.filter], ["smooth", state.smooth || ""]]) if (value) said.set(key, value);
  if (state.sort !== "name") said.set("sort", state.sort);
  for (const key of ["down", "log"]) if (state[key]) said.set(key, 1);
  for (const name of state.checked) said.append("with", name);
  for (const name of state.metrics) said.append("metric", name);
  history.replaceState(null, "", "#" + said);
}
function change(what) { Object.assign(state, what); keep(); rows(); view(); }

// The table of runs.
const fixed = {
  name: (run) => run.name, status: (run) => run.status, step: (run) => run.step, loss: (run) => run.loss, "images/s": (run) => run.images_per_second,
  seed: (run) => run.seed, device: (run) => run.device, started: (run) => run.started, changed: (run) => run.changed, about: (run) => run.about, error: (run) => run.error,
};
function value(run, column) {
  if (Object.hasOwn(fixed, column)) return fixed[column](run);
  const found = run.evaluations.find((one) => one.node === column);
  return found ? found.last : undefined;
}
function cell(run, column) {
  const found = run.evaluations.find((one) => one.node === column);
  if (!Object.hasOwn(fixed, column)) return found ? told(found, found.last) : "";
  const there = value(run, column);
  if (column === "step" && run.last_step && run.last_step !== run.step) return number(there) + " / " + number(run.last_step);
  if (column === "started" || column === "changed") return moment(there);
  return typeof there === "number" ? number(there, column === "images/s" ? 3 : 4) : there ?? "";
}
function fits(run, filter) {
  return filter.trim().split(/\s+/).filter(Boolean).every((word) => {
    const test = word.match(/^([^:<>=]+)(>=|<=|[:<>=])(.*)$/);
    if (!test) return (run.name + " " + run.about + " " + run.status + " " + run.device).toLowerCase().includes(word.toLowerCase());
    const column = [...Object.keys(fixed), ...run.evaluations.map((one) => one.node)].find((name) => name.toLowerCase() === test[1].toLowerCase());
    const there = column === undefined ? undefined : value(run, column);
    if (there === undefined || there === null) return false;
    if (test[2] === ":") return String(there).toLowerCase().includes(test[3].toLowerCase());
    const limit = test[3].endsWith("%") ? Number(test[3].slice(0, -1)) / 100 : Number(test[3]);
    if (test[3] === "" || Number.isNaN(limit) || typeof there !== "number") return test[2] === "=" && String(there).toLowerCase() === test[3].toLowerCase();
    return { ">": there > limit, "<": there < limit, ">=": there >= limit, "<=": there <= limit, "=": there === limit }[test[2]];
  });
}
function shown() {
  const order = (a, b) => {
    const x = value(a, state.sort), y = value(b, state.sort);
    const none = (v) => v === undefined || v === null || v === "";
    if (none(x) || none(y)) return none(x) - none(y) || a.name.localeCompare(b.name, undefined, { numeric: true });
    const by = typeof x === "number" && typeof y === "number" ? x - y : String(x).localeCompare(String(y), undefined, { numeric: true });
    return (state.down ? -by : by) || a.name.localeCompare(b.name, undefined, { numeric: true });
  };
  return runs.filter((run) => fits(run, state.filter)).sort(order);
}
function choose_columns() {
  const counts = new Map();
  for (const run of runs) for (const one of run.evaluations) counts.set(one.node, (counts.get(one.node) ?? 0) + 1);
  const evaluations = [...counts].sort((a, b) => b[1] - a[1] || a[0].localeCompare(b[0])).slice(0, 4).map(([name]) => name).filter((name) => !Object.hasOwn(fixed, name));
  return ["name", "status", "step", "loss", "images/s", ...evaluations, "seed", "device", "changed"];
}
const kept = new Map();  // rows by name: one that stays keeps its focus
function row(run) {
  if (kept.has(run.name)) return kept.get(run.name);
  const box = node("input", { type: "checkbox", ariaLabel: "Compare " + run.name });
  box.onchange = () => change({ checked: box.checked ? [...state.checked, run.name] : state.checked.filter((name) => name !== run.name) });
  const name = node("button", { className: "name", textContent: run.name });
  name.onclick = () => change({ run: run.name, tab: ["Graph", "Pictures", "Run"].includes(state.tab) ? state.tab : "Run" });
  const line = node("tr", {}, node("td", {}, box), node("td", {}, name));
  kept.set(run.name, line);
  return line;
}
function rows() {
  const now = choose_columns();
  if (now.join("\n") !== columns.join("\n")) columns = now, kept.clear();
  const heads = [node("th", {}), ...columns.map((column) => {
    const button = node("button", { textContent: column + (state.sort === column ? state.down ? " ▼" : " ▲" : "") });
    button.dataset.column = column;
    button.onclick = () => {
      change({ sort: column, down: state.sort === column ? !state.down : false });
      for (const other of document.querySelectorAll("#head button")) if (other.dataset.column === column) other.focus();
    };
    return node("th", state.sort === column ? { ariaSort: state.down ? "descending" : "ascending" } : {}, button);
  })];
  const before = [...at("head").children].map((head) => head.textContent).join("\n");
  if (heads.map((head) => head.textContent).join("\n") !== before) at("head").replaceChildren(...heads);
  const list = shown();
  const lines = list.map((run) => {
    const line = row(run);
    line.ariaSelected = String(run.name === state.run);
    line.firstChild.firstChild.checked = state.checked.includes(run.name);
    columns.slice(1).forEach((column, i) => {
      const place = line.children[i + 2] ?? line.appendChild(node("td"));
      const text = cell(run, column);
      if (place.textContent !== text) place.textContent = text;
      if (column === "status") place.className = ["running", "failed", "damaged"].includes(run.status) ? run.status : "";
    });
    return line;
  });
  const there = [...at("body").children];
  if (there.length !== lines.length || lines.some((line, i) => line !== there[i])) at("body").replaceChildren(...lines);
  at("count").textContent = list.length + " of " + runs.length + " runs, " + state.checked.length + " checked";
  if (at("filter").value !== state.filter) at("filter").value = state.filter;
}

// Tabs.
function draw_tabs() {
  if (!at("tabs").children.length) {
    tabs.forEach((name, i) => {
      const button = node("button", { textContent: name, role: "tab", id: "tab-" + name });
      button.onclick = () => change({ tab: name });
      button.onkeydown = (event) => {
        const by = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
        if (!by) return;
        const next = tabs[(i + by + tabs.length) % tabs.length];
        change({ tab: next });
        at("tab-" + next).focus();
      };
      at("tabs").append(button);
    });
  }
  for (const button of at("tabs").children) {
    const chosen = button.textContent === state.tab;
    button.ariaSelected = String(chosen);
    button.tabIndex = chosen ? 0 : -1;
  }
  at("view").setAttribute("aria-labelledby", "tab-" + state.tab);
}
const hint = (text) => node("p", { className: "quiet", textContent: text });
const colour = (name) => Math.max(0, state.checked.indexOf(name));
const chosen = () => runs.find((run) => run.name === state.run);
const checked = () => state.checked.filter((name) => runs.some((run) => run.name === name));

/// Draws the tab; `views` of page_views give its elements. Those that come late from an earlier state are dropped.
async function view() {
  draw_tabs();
  const mine = drawn = JSON.stringify(state);
  let inside, fault = "";
  try {
    inside = await views[state.tab]();
  } catch (error) {
    fault = error.message;
    inside = [];
  }
  if (mine !== drawn) return;
  at("fault").textContent = fault;
  const focus = document.activeElement?.id, top = document.querySelector("main").scrollTop;
  put(inside);
  if (focus && document.activeElement?.id !== focus && at("view").querySelector("#" + CSS.escape(focus))) at(focus).focus();
  document.querySelector("main").scrollTop = top;
}
/// Puts elements in place of those shown. One that says that it is as before stays: a slider under the hand, a list scrolled.
function put(inside) {
  const before = [...at("view").children];
  if (before.length !== inside.length) return at("view").replaceChildren(...inside);
  inside.forEach((part, i) => {
    if (!part.dataset.same || part.dataset.same !== before[i].dataset.same) before[i].replaceWith(part);
  });
}
/// The times of all that the tab shows: where they are as before, it stays.
function shown_times() {
  const all = state.tab === "Evaluations" && !checked().length ? shown().map((run) => run.name) : state.checked;
  const names = ["Curves", "Evaluations", "Diff"].includes(state.tab) ? all : [state.run];
  return names.map((name) => { const run = runs.find((one) => one.name === name); return run ? [run.changed, run.status] : 0; });
}
async function look() {
  let found;
  try {
    found = await load("/api/runs");
  } catch (error) {
    lost = true;
    at("fault").textContent = "The program that answers this page has ended, or can't be reached: " + error.message;
    return;
  }
  runs = found.runs, folder = found.folder;
  for (const run of runs) run.about ??= "", run.device ??= "";
  for (const name of kept.keys()) if (!runs.some((run) => run.name === name)) kept.delete(name);
  at("folder").textContent = found.folder + (found.left_out ? " (some are left out: there are too many)" : "");
  // Who comes without an address sees the newest run.
  if (!location.hash && runs.length) {
    state.checked = [runs.reduce((best, run) => run.changed > best.changed ? run : best).name];
    keep();
  }
  rows();
  const now = JSON.stringify([shown_times(), runs.length > 0]) + (lost ? " again" : "");
  lost = false;
  const live = state.tab === "Graph" && chosen()?.status === "running";
  if (now !== times || live) times = now, await view();
}
async function again() {
  if (!document.hidden) await look();
  setTimeout(again, 2000);
}
)js";

}  // namespace flowrun::app
