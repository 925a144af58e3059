// The begin and end of every report. It loads nothing from the network: it opens from a file, on a machine without a
// network.
#pragma once

namespace flowrun::app {

inline constexpr const char* report_style = R"(<style>
:root { color-scheme: light dark; --page: #ffffff; --ink: #1c1d21; --quiet: #63656d; --rim: #dcdde2; --soft: #f5f5f7; --bar: #4a86c5; --bad: #b3261e; --link: #0b57a4; }
@media (prefers-color-scheme: dark) {
  :root { --page: #17181b; --ink: #e6e7ea; --quiet: #a0a3ac; --rim: #3a3d45; --soft: #212328; --bar: #5b96d3; --bad: #ff8a80; --link: #8ab8f0; }
}
body { margin: 0; background: var(--page); color: var(--ink); font: 15px/1.5 system-ui, Helvetica, Arial, sans-serif; }
main { max-width: 1320px; margin: 0 auto; padding: 20px 24px 60px; }
h1 { font-size: 24px; margin: 8px 0; } h2 { font-size: 18px; margin: 36px 0 10px; border-bottom: 1px solid var(--rim); } h3 { font-size: 15px; margin: 16px 0 4px; }
a { color: var(--link); } .quiet { color: var(--quiet); } .bad { color: var(--bad); }
.facts { display: flex; flex-wrap: wrap; gap: 10px 28px; margin: 16px 0; } .facts dt { color: var(--quiet); font-size: 12px; } .facts dd { margin: 0; font-weight: 600; }
.charts { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(460px, 100%), 1fr)); gap: 16px; }
figure { margin: 0; } figcaption { font-weight: 600; } figure img { max-width: 100%; background: #fff; }
.chart { width: 100%; display: block; } .chart text { fill: var(--quiet); font-size: 11px; } .chart .grid { stroke: var(--rim); } .chart .axis { stroke: var(--quiet); }
.chart .line { fill: none; stroke-width: 1.6; stroke: currentColor; } .chart .band { fill: currentColor; opacity: .16; } .chart circle { fill: currentColor; }
.chart .level { stroke: currentColor; stroke-dasharray: 6 4; opacity: .8; }
nav { display: flex; flex-wrap: wrap; gap: 4px 18px; font-size: 13px; margin: 14px 0; }
.verdict { list-style: none; padding: 10px 16px; margin: 16px 0; background: var(--soft); border-radius: 6px; } .verdict b { display: inline-block; width: 1.2em; }
.verdict .good b { color: #2e9e6b; } .verdict .doubtful b { color: #d9822b; } .verdict .bad b { color: var(--bad); }
.chart .at { stroke: var(--quiet); stroke-dasharray: 3 3; }
.c0 { color: #3b7dc4; } .c1 { color: #d9822b; } .c2 { color: #2e9e6b; } .c3 { color: #c0508f; } .c4 { color: #8a6fd1; } .c5 { color: #a68a00; } .c6 { color: #d05a4a; } .c7 { color: #4aa3b5; }
.key { margin: 2px 0 0; font-size: 12px; color: var(--quiet); }
.wide { overflow-x: auto; } table { border-collapse: collapse; font-size: 13px; } th { text-align: left; font-weight: 600; color: var(--quiet); }
th, td { padding: 3px 14px 3px 0; border-bottom: 1px solid var(--rim); vertical-align: top; } td { font-variant-numeric: tabular-nums; }
.time td:nth-child(n+3) { white-space: nowrap; } .bar { width: 160px; min-width: 120px; vertical-align: middle; } .bar div { height: 10px; background: var(--bar); border-radius: 2px; }
pre { background: var(--soft); padding: 10px; overflow-x: auto; font-size: 12px; white-space: pre-wrap; }
#tip { position: fixed; display: none; pointer-events: none; background: var(--soft); color: var(--ink); border: 1px solid var(--rim); border-radius: 4px; padding: 4px 8px; font-size: 12px; white-space: pre; }
</style>
)";

/// Shows the values under the pointer.
inline constexpr const char* report_script = R"(<div id="tip"></div>
<script>
const tip = document.getElementById("tip");
for (const chart of document.querySelectorAll("svg.chart")) {
  const curves = JSON.parse(chart.dataset.curves);
  const line = document.createElementNS("http://www.w3.org/2000/svg", "line");
  line.setAttribute("class", "at"); line.setAttribute("y1", 18); line.setAttribute("y2", 204); line.style.display = "none";
  chart.append(line);
  chart.addEventListener("pointermove", (event) => {
    const box = chart.getBoundingClientRect(), x = (event.clientX - box.left) / box.width * 620;
    const near = curves.map((curve) => curve.points.reduce((best, p) => !best || Math.abs(p[2] - x) < Math.abs(best[2] - x) ? p : best, null));
    const first = near.find((p) => p);
    if (!first) return;
    tip.textContent = "step " + first[0] + curves.map((curve, i) => near[i] ? "\n" + curve.name + "  " + near[i][1] : "").join("");
    line.setAttribute("x1", first[2]); line.setAttribute("x2", first[2]); line.style.display = "";
    tip.style.display = "block";
    tip.style.left = Math.min(event.clientX + 14, innerWidth - tip.offsetWidth - 8) + "px";
    tip.style.top = Math.min(event.clientY + 14, innerHeight - tip.offsetHeight - 8) + "px";
  });
  chart.addEventListener("pointerleave", () => { tip.style.display = line.style.display = "none"; });
}
</script>
)";

}  // namespace flowrun::app
