"""How a study's page looks: the system's letters and colours, in light and dark."""

from __future__ import annotations

STYLE = """
:root { color-scheme: light dark; --line: #8885; --soft: #666; --focus: #1a66c2;
  --good: #1a7340; --bad: #b3261e; --open: #7a5f00; text-size-adjust: 100%;
  -webkit-text-size-adjust: 100%; }
@media (prefers-color-scheme: dark) { :root { --soft: #a8a8a8; --focus: #7ab4ff;
  --good: #4cc38a; --bad: #ff8a80; --open: #e0c050; } }
body { font: 15px/1.5 system-ui, sans-serif; margin: 0 auto; max-width: 76rem;
  padding: 1rem; overflow-wrap: anywhere; }
h1 { font-size: 1.6rem; line-height: 1.2; margin: 0; }
h2 { font-size: 1.25rem; margin: 3rem 0 .75rem; padding-top: .75rem;
  border-top: 1px solid var(--line); }
h3 { font-size: 1.05rem; margin: 2rem 0 .5rem; }
header > p, section > p { max-width: 44rem; }
a { color: inherit; text-underline-offset: .15em; text-decoration-color: var(--soft); }
:is(a, select, summary, [tabindex]):focus-visible { outline: 2px solid var(--focus);
  outline-offset: 2px; border-radius: 2px; }
.wide:focus-visible { outline-offset: -2px; }
main:focus { outline: none; }
:target { background: color-mix(in srgb, var(--focus) 22%, transparent); }
section:target, main:target { background: none; }
nav ul, .keys { display: flex; flex-wrap: wrap; gap: .25rem 1.25rem; list-style: none;
  padding: 0; margin: 1rem 0; }
nav a { display: inline-block; padding: .3rem 0; }
.skip { position: absolute; left: -99rem; }
.skip:focus { left: 1rem; top: .25rem; padding: .25rem; background: Canvas; }
.unseen { position: absolute; width: 1px; height: 1px; overflow: hidden;
  clip-path: inset(50%); white-space: nowrap; }
.soft, small, figcaption, caption, td .d { color: var(--soft); }
small { display: block; font-size: .85em; font-weight: normal; }
h3 + p.soft { margin: -.25rem 0 .75rem; }
.pick select { font: inherit; max-width: 100%; padding: .35rem .5rem; }
[role=status] { color: var(--soft); } [role=status] strong { color: CanvasText; }
.wide { position: relative; overflow-x: auto; margin: .5rem 0; }
/* Not collapsed: a column that stays in sight would leave its lines behind. */
table { border-collapse: separate; border-spacing: 0;
  font-variant-numeric: tabular-nums lining-nums; }
caption { text-align: left; padding-bottom: .5rem; }
caption span { position: sticky; left: 0; display: inline-block;
  max-width: min(44rem, calc(100vw - 2rem)); }
th, td { text-align: left; vertical-align: top; padding: .35rem 1rem .35rem 0;
  border-bottom: 1px solid var(--line); overflow-wrap: normal; }
thead th { vertical-align: bottom; line-height: 1.25;
  border-bottom-color: currentColor; }
tbody th { font-weight: 600; min-width: 8rem; max-width: 15rem; }
.numbers :is(td, thead th:not(:first-child)) { text-align: right;
  padding: .35rem .75rem .35rem .25rem; }
.numbers thead th { max-width: 9rem; }
.numbers td { white-space: nowrap; }
.numbers th:first-child { position: sticky; left: 0; background: Canvas; z-index: 1;
  padding-right: .75rem; box-shadow: 1px 0 var(--line); }
td .d { font-size: .85em; white-space: pre; }
td .d::first-line { color: CanvasText; font-size: 1.17em; }
/* Hung beside the number, so that digits stay below digits. */
.more { position: absolute; font-size: .7em; line-height: 1.3; padding-left: .2em; }
.ghost { font-style: italic; }
.supported, .contradicted, .undecided, .unknown { font-weight: 600; }
.supported { color: var(--good); } .contradicted { color: var(--bad); }
.undecided, .unknown { color: var(--open); }
.supported::before { content: "\\2713\\a0" / ""; }
.contradicted::before { content: "\\2717\\a0" / ""; }
.undecided::before, .unknown::before { content: "?\\a0" / ""; }
.stack { width: 100%; } .stack td { max-width: 22rem; } .stack code { font-size: .9em; }
.stack td:nth-child(n+4):nth-child(-n+5) { min-width: 11rem; }
details { display: inline-block; vertical-align: top; }
summary { cursor: pointer; white-space: nowrap; }
.key { display: inline-block; width: .9em; height: .9em; border-radius: .15em;
  vertical-align: -.05em; }
.panels { display: grid; gap: 1rem 2rem;
  grid-template-columns: repeat(auto-fill, minmax(min(100%, 27rem), 1fr)); }
figure { margin: 0; min-width: 0; break-inside: avoid; }
svg { width: 100%; height: auto; max-width: 38rem; display: block; }
@media (max-width: 40rem) {
  .numbers tbody th { min-width: 7rem; max-width: 8.5rem; } }
@media (max-width: 60rem) {
  .stack :is(tbody, tr, td, th) { display: block; min-width: 0;
    max-width: none; }
  .stack td:nth-child(n+4):nth-child(-n+5) { min-width: 0; }
  .stack :is(td, th) { border: 0; padding: .1rem 0; }
  .stack tr { border-bottom: 1px solid var(--line); padding: .5rem 0; }
  .stack thead { position: absolute; clip-path: inset(50%); height: 1px; width: 1px;
    overflow: hidden; }
  .stack td:empty { display: none; }
  .stack td::before { content: attr(data-label) ": " / ""; color: var(--soft); } }
@media print { body { max-width: none; font-size: 9px; padding: 0; }
  nav, .skip, .pick { display: none !important; } .wide { overflow: visible; }
  .numbers th:first-child { position: static; }
  details::details-content { content-visibility: visible; }
  .panels { grid-template-columns: 1fr 1fr; } thead { display: table-header-group; }
  tr { break-inside: avoid; } }
"""
