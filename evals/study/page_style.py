"""How a study's page looks: the system's letters and colours, in light and dark."""

from __future__ import annotations

STYLE = """
:root { color-scheme: light dark; --line: #8885; --soft: #767676;
  --good: #1a7f4b; --bad: #c0392b; --open: #8a6d00; }
@media (prefers-color-scheme: dark) { :root { --soft: #a0a0a0; --good: #4cc38a;
  --bad: #ff8a80; --open: #e0c050; } }
body { font: 15px/1.5 system-ui, sans-serif; margin: 0 auto; max-width: 70rem;
  padding: 1rem; overflow-wrap: anywhere; }
h1 { font-size: 1.5rem; margin: 0; } h2 { font-size: 1.2rem; margin-top: 2.5rem; }
h3 { font-size: 1rem; margin: 1.5rem 0 0; }
nav a { margin-right: 1rem; } a { color: inherit; }
a:focus-visible, [tabindex]:focus-visible { outline: 2px solid #2a78d6;
  outline-offset: 2px; }
.skip { position: absolute; left: -99rem; } .skip:focus { left: 1rem; top: .5rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { text-align: left; vertical-align: top; padding: .3rem .9rem .3rem 0;
  border-bottom: 1px solid var(--line); overflow-wrap: normal; }
td code { overflow-wrap: normal; }
tbody th { font-weight: 600; min-width: 7rem; }
td:nth-child(n+4) { min-width: 5rem; }
.interval, small, .soft { color: var(--soft); } small { display: block; }
.interval { white-space: nowrap; }
.ghost { font-style: italic; }
.supported { color: var(--good); font-weight: 600; }
.contradicted { color: var(--bad); font-weight: 600; }
.undecided, .unknown { color: var(--open); font-weight: 600; }
.key { display: inline-block; width: .8em; height: .8em; border-radius: .2em; }
figure { margin: 0 0 1.5rem; break-inside: avoid; }
figcaption { color: var(--soft); } figcaption h3 { color: CanvasText; }
svg { width: 100%; height: auto; max-width: 46rem; display: block; }
@media print { body { max-width: none; font-size: 10px; } nav, .skip { display: none; }
  .wide { overflow: visible; } }
"""
