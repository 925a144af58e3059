#include "tools/app/web/page.h"

namespace flowrun::app {

const char* const page_icon =
    R"(<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16"><path d="M1 3c5 0 5 10 14 10" fill="none" stroke="#3b7dc4" stroke-width="2.5"/></svg>)";

const char* const page_html = R"(<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>flowrun: runs</title>
<link rel="icon" href="/icon.svg">
<link rel="stylesheet" href="/page.css">
<script src="/page.js" defer></script>
</head>
<body>
<section id="runs" aria-label="Runs">
<header>
<h1>Runs <span id="folder" class="quiet"></span></h1>
<input id="filter" type="search" aria-label="Filter" placeholder="Filter: words, status:done, knn&gt;0.9" autocomplete="off" spellcheck="false">
<div class="row"><span id="count" class="quiet" role="status"></span><button id="check">Check shown</button><button id="uncheck">Uncheck all</button></div>
</header>
<div class="wide"><table><thead><tr id="head"></tr></thead><tbody id="body"></tbody></table></div>
</section>
<main>
<div id="tabs" role="tablist" aria-label="Views"></div>
<p id="fault" class="bad" role="alert"></p>
<div id="view" role="tabpanel" tabindex="0"></div>
</main>
<div id="tip" aria-hidden="true"></div>
<noscript>This page needs JavaScript.</noscript>
</body>
</html>
)";

const char* const page_style = R"(
:root { color-scheme: light dark; --page: #ffffff; --ink: #1c1d21; --quiet: #63656d; --rim: #dcdde2; --soft: #f5f5f7; --bad: #b3261e; --link: #0b57a4; --chosen: #dbe8f7; }
@media (prefers-color-scheme: dark) {
  :root { --page: #17181b; --ink: #e6e7ea; --quiet: #a0a3ac; --rim: #3a3d45; --soft: #212328; --bad: #ff8a80; --link: #8ab8f0; --chosen: #24405e; }
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--ink); font: 15px/1.5 system-ui, Helvetica, Arial, sans-serif; display: grid; grid-template-columns: minmax(420px, 44%) 1fr; height: 100vh; }
@media (max-width: 900px) { body { display: block; height: auto; } }
#runs { border-right: 1px solid var(--rim); display: flex; flex-direction: column; min-height: 0; min-width: 0; }
#runs header { padding: 12px 16px 8px; }
#runs .wide { flex: 1; overflow: auto; padding: 0 16px 16px; }
main { overflow: auto; padding: 12px 20px 40px; min-width: 0; }
h1 { font-size: 20px; margin: 0 0 8px; } h1 span { font-size: 13px; font-weight: 400; overflow-wrap: anywhere; } h2 { font-size: 16px; margin: 20px 0 6px; }
a { color: var(--link); } .quiet { color: var(--quiet); } .bad { color: var(--bad); white-space: pre-wrap; margin: 0; }
input[type=search], select { width: 100%; font: inherit; color: inherit; background: var(--soft); border: 1px solid var(--rim); border-radius: 6px; padding: 5px 9px; }
button { font: inherit; color: inherit; background: var(--soft); border: 1px solid var(--rim); border-radius: 6px; padding: 2px 10px; cursor: pointer; }
.row { display: flex; flex-wrap: wrap; gap: 6px 14px; align-items: center; margin-top: 8px; } .row .quiet { flex: 1; } .row label { display: flex; gap: 6px; align-items: center; }
:focus-visible { outline: 2px solid var(--link); outline-offset: 1px; }
table { border-collapse: collapse; font-size: 13px; width: 100%; } th { text-align: left; position: sticky; top: 0; background: var(--page); }
th, td { padding: 3px 10px 3px 0; border-bottom: 1px solid var(--rim); vertical-align: top; } td { font-variant-numeric: tabular-nums; } #body td { white-space: nowrap; } #body td:nth-child(2) { white-space: normal; }
th button { border: 0; background: none; padding: 0; font-weight: 600; color: var(--quiet); white-space: nowrap; } th[aria-sort] button { color: var(--ink); }
td button.name { border: 0; background: none; padding: 0; text-align: left; color: var(--link); overflow-wrap: anywhere; min-width: 110px; }
tr[aria-selected=true] td { background: var(--chosen); }
.running { color: #2e9e6b; font-weight: 600; } .failed, .damaged { color: var(--bad); font-weight: 600; }
.best { font-weight: 700; } .best::after { content: " ★"; color: #d9822b; }
#tabs { display: flex; flex-wrap: wrap; gap: 4px; border-bottom: 1px solid var(--rim); margin-bottom: 10px; }
#tabs button { border: 0; background: none; border-radius: 0; padding: 4px 12px; border-bottom: 3px solid transparent; } #tabs [aria-selected=true] { border-color: var(--link); font-weight: 600; }
.charts { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(420px, 100%), 1fr)); gap: 16px; margin-top: 8px; }
figure { margin: 0; } figcaption { font-weight: 600; } figure img { max-width: 100%; background: #fff; display: block; }
.metrics { display: flex; flex-wrap: wrap; gap: 2px 14px; max-height: 7.5em; overflow: auto; padding: 4px 0; font-size: 13px; }
.chart { width: 100%; display: block; } .chart text { fill: var(--quiet); font-size: 11px; } .chart .grid { stroke: var(--rim); } .chart .at { stroke: var(--quiet); stroke-dasharray: 3 3; }
.chart .line { fill: none; stroke-width: 1.7; stroke: currentColor; } .chart .raw { fill: none; stroke-width: 1; stroke: currentColor; opacity: .28; } .chart .dashed { stroke-dasharray: 6 3; }
.c0 { color: #3b7dc4; } .c1 { color: #d9822b; } .c2 { color: #2e9e6b; } .c3 { color: #c0508f; } .c4 { color: #8a6fd1; } .c5 { color: #a68a00; } .c6 { color: #d05a4a; } .c7 { color: #4aa3b5; }
.key { display: flex; flex-wrap: wrap; gap: 2px 14px; font-size: 13px; margin: 6px 0; } .key b { font-weight: 600; }
.verdict { list-style: none; padding: 8px 14px; margin: 10px 0; background: var(--soft); border-radius: 6px; } .verdict b { display: inline-block; width: 1.3em; }
.verdict .good b { color: #2e9e6b; } .verdict .doubtful b { color: #d9822b; } .verdict .bad { white-space: normal; } .verdict .bad b { color: var(--bad); }
.graph { max-width: 100%; } .graph.whole { max-width: none; } .scroll { overflow: auto; } pre { background: var(--soft); padding: 8px; white-space: pre-wrap; overflow-wrap: anywhere; font-size: 12px; }
.diff td { font-family: ui-monospace, monospace; font-size: 12px; overflow-wrap: anywhere; max-width: 30vw; white-space: pre-wrap; }
#tip { position: fixed; display: none; pointer-events: none; background: var(--soft); color: var(--ink); border: 1px solid var(--rim); border-radius: 4px; padding: 4px 8px; font-size: 12px; white-space: pre; max-width: 90vw; }
)";

}  // namespace flowrun::app
