"""A report's page as a browser has it: drawn, read out, reached by keys, printed."""

from __future__ import annotations

import base64
import itertools
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from browser import Browser, headless
from reported_study import make_study

from evals.study.tables import told_difference
from evals.study.writing import report

pytestmark = pytest.mark.e2e

WIDTHS = (390, 820, 1280)
TAB, DOWN = ("Tab", 9), ("ArrowDown", 40)

# What the tabulator key should reach, in this order.
REACHED = """[...document.querySelectorAll('a[href], select, summary, [tabindex="0"]')]
  .filter(one => one.checkVisibility())"""
NAMED = """(one => one.tagName + ' ' + (one.id || one.getAttribute('href') ||
  one.getAttribute('aria-labelledby') || one.textContent))"""

# Every visible piece of text: its colour, what is behind it, and their contrast (WCAG).
CONTRASTS = """(() => {
  const canvas = document.createElement('canvas');
  canvas.width = canvas.height = 1;
  const paint = canvas.getContext('2d', {willReadFrequently: true});
  const pixel = (...colours) => {
    paint.clearRect(0, 0, 1, 1);
    for (const one of colours) { paint.fillStyle = one; paint.fillRect(0, 0, 1, 1); }
    return [...paint.getImageData(0, 0, 1, 1).data].slice(0, 3);
  };
  const luminance = pixel => pixel
    .map(one => one / 255)
    .map(one => one <= 0.04045 ? one / 12.92 : ((one + 0.055) / 1.055) ** 2.4)
    .reduce((sum, one, at) => sum + one * [0.2126, 0.7152, 0.0722][at], 0);
  const probe = document.body.appendChild(document.createElement('p'));
  probe.style.background = 'Canvas';
  const page = getComputedStyle(probe).backgroundColor;
  probe.remove();
  const behind = one => {
    const found = [];
    for (; one; one = one.parentElement)
      found.unshift(getComputedStyle(one).backgroundColor);
    return [page, ...found];
  };
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const found = [];
  while (texts.nextNode()) {
    const one = texts.currentNode.parentElement, text = texts.currentNode.data;
    if (!text.trim() || one.closest('.unseen, style, option')) continue;
    if (!one.checkVisibility()) continue;
    const own = getComputedStyle(one);
    const svg = one.closest('svg');
    // Names on bands are black or white, whatever the page is.
    if (svg && own.fill !== getComputedStyle(svg).color) continue;
    found.push([text, svg ? own.fill : own.color, behind(one)]);
  }
  const select = document.querySelector('select');
  found.push(['select', getComputedStyle(select).color, behind(select)]);
  return found.map(([text, colour, layers]) => {
    const light = [luminance(pixel(...layers, colour)), luminance(pixel(...layers))];
    light.sort((one, other) => other - one);
    return [(light[0] + 0.05) / (light[1] + 0.05), text];
  });
})()"""

DIFFERENCES = """[...document.querySelectorAll('#differences tbody tr')]
  .filter(row => row.checkVisibility())
  .map(row => [...row.cells].map(cell => cell.innerText.trim()))"""


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_study(tmp_path_factory.mktemp("report"))


@pytest.fixture(scope="module")
def page(workspace: Path) -> Path:
    path = workspace / "report.html"
    report([str(workspace / "study")], output=path)
    return path


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with headless(tmp_path_factory.mktemp("browser")) as found:
        if found is None:
            pytest.skip("chromium is not installed")
        yield found


@pytest.fixture
def browser(started: Browser, page: Path) -> Iterator[Browser]:
    started.look(1280)
    started.open(page)
    yield started
    assert started.complaints() == []


def shown_points(browser: Browser) -> list[str]:
    """Return the points whose differences are shown."""
    return [row[0].split("\n")[0] for row in browser.run(DIFFERENCES)]


def tree(browser: Browser) -> list[dict[str, Any]]:
    """Return what a screen reader is told: roles, names and properties."""
    nodes = browser.call("Accessibility.getFullAXTree")["nodes"]
    return [
        {
            "role": node["role"]["value"],
            "name": node.get("name", {}).get("value", ""),
            "value": node.get("value", {}).get("value"),
            **{
                one["name"]: one["value"].get("value")
                for one in node.get("properties", [])
            },
        }
        for node in nodes
        if not node["ignored"]
    ]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", WIDTHS)
def test_the_page_is_drawn_and_is_as_wide_as_the_window(
    browser: Browser, page: Path, tmp_path: Path, width: int, scheme: str
) -> None:
    browser.look(width, scheme=scheme)
    browser.open(page)
    shot = tmp_path / "shot.png"
    browser.shot(shot)
    assert shot.stat().st_size > 20_000
    root = "document.documentElement"
    assert browser.run(f"{root}.scrollWidth <= {root}.clientWidth")
    sizes = browser.run(
        "[...document.querySelectorAll('svg')].map(one => one.getBoundingClientRect())"
        ".map(one => [one.width, one.height])"
    )
    # Three figures of the study, tokens by source, and a curve of each run.
    assert len(sizes) == 3 + 1 + 3
    assert all(wide > 300 and high > 80 for wide, high in sizes)
    assert browser.requested() == {page.as_uri()}


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_all_text_stands_out_from_what_is_behind_it(
    browser: Browser, page: Path, scheme: str
) -> None:
    browser.look(1280, scheme=scheme)
    browser.open(page)
    found = browser.run(CONTRASTS)
    assert len(found) > 100
    assert [one for one in found if one[0] < 4.5] == []


@pytest.mark.parametrize("width", WIDTHS)
def test_keys_reach_all_that_can_be_used_and_show_where_they_are(
    browser: Browser, page: Path, width: int
) -> None:
    browser.look(width)
    browser.open(page)
    browser.call("Emulation.setFocusEmulationEnabled", enabled=True)
    wanted = browser.run(f"{REACHED}.map({NAMED})")
    names = [one.split(" ", 1)[1] for one in wanted]
    assert names[0] == "#main"
    assert "baseline" in names
    regions = ("scores", "differences", "claims", "tokens", "entries")
    assert {f"{one}-caption" for one in regions} <= set(names)
    reached = []
    for _ in wanted:
        browser.press(*TAB)
        reached.append(browser.run(f"{NAMED}(document.activeElement)"))
        style = "getComputedStyle(document.activeElement)"
        assert browser.run(f"{style}.outlineStyle") == "solid"
        assert browser.run(f"parseFloat({style}.outlineWidth)") >= 2
    assert reached == wanted


def test_the_baseline_is_chosen_by_keys_and_told(
    browser: Browser, workspace: Path
) -> None:
    browser.call("Emulation.setFocusEmulationEnabled", enabled=True)
    never = "A mixture with a name of many words that never ran"
    assert shown_points(browser) == ["begun", "other", never]
    browser.run("document.querySelector('select').focus()")
    browser.press(*DOWN)
    (picker,) = [one for one in tree(browser) if one["role"] == "combobox"]
    assert (picker["name"], picker["value"]) == ("Compare with", "begun")
    named = report([str(workspace / "study")], baseline="begun")
    assert shown_points(browser) == ["Plain", "other", never]
    after = browser.run(DIFFERENCES)
    cell = named.cell("plain", "loss")
    score = named.scores[0]
    told = [
        told_difference(one or 0, score)
        for one in (cell.against_baseline, cell.against_low, cell.against_high)
    ]
    lines = after[0][1].replace("\N{MINUS SIGN}", "-").split("\n")
    assert lines[:2] == [told[0], f"[{told[1]}, {told[2]}]"]
    status = browser.run("document.querySelector('[role=status]').innerText")
    assert status == "Differences from begun, balanced."
    live = [one for one in tree(browser) if one["role"] == "status"]
    assert [one["live"] for one in live] == ["polite"]
    # What is printed is what was chosen.
    browser.call("Emulation.setEmulatedMedia", media="print")
    assert browser.run(DIFFERENCES) == after
    assert browser.run("document.querySelector('[role=status]').checkVisibility()")


@pytest.mark.parametrize("width", WIDTHS)
def test_a_screen_reader_finds_its_way(
    browser: Browser, page: Path, width: int
) -> None:
    browser.look(width)
    browser.open(page)
    nodes = tree(browser)
    roles = Counter(one["role"] for one in nodes)
    for landmark in ("banner", "navigation", "main", "contentinfo"):
        assert roles[landmark] == 1, landmark
    # The tree is told level by level; the order of headings is that of the document.
    levels = browser.run(
        "[...document.querySelectorAll('h1, h2, h3, h4, h5, h6')]"
        ".map(one => Number(one.tagName[1]))"
    )
    told = [one["level"] for one in nodes if one["role"] == "heading"]
    assert sorted(told) == sorted(levels)
    assert levels[0] == 1
    assert levels.count(1) == 1
    pairs = itertools.pairwise(levels)
    assert all(after <= before + 1 for before, after in pairs)
    for role, count in (("table", 5), ("figure", 7), ("image", 7), ("combobox", 1)):
        found = [one for one in nodes if one["role"] == role]
        assert len(found) == count, role
        assert all(one["name"] for one in found), role
    links = [one["name"] for one in nodes if one["role"] == "link"]
    assert all(links)
    rows = 4 + 3 + 4 + 3 + 4  # points, points but one, claims, runs, entries
    assert roles["rowheader"] == rows
    assert roles["columnheader"] == browser.run(
        "document.querySelectorAll('thead th[scope=col]').length"
    )
    assert browser.run("document.querySelectorAll('th:not([scope])').length") == 0


def test_the_printed_page_has_all_figures(browser: Browser) -> None:
    printed = browser.call("Page.printToPDF", generateTaggedPDF=True)["data"]
    found = base64.b64decode(printed)
    assert found.startswith(b"%PDF")
    # Each is tagged as a figure with a caption, and within as one of its own.
    assert len(re.findall(rb"/S /Figure", found)) == 2 * 7
    browser.call("Emulation.setEmulatedMedia", media="print")
    for what in ("svg", "figcaption", ".wide a"):
        all_of_it = f"[...document.querySelectorAll('{what}')]"
        hidden = f"{all_of_it}.filter(one => !one.checkVisibility())"
        assert browser.run(f"{hidden}.length") == 0, what


def test_the_command_prints_it(workspace: Path, browser: Browser) -> None:
    printed = workspace / "report.pdf"
    report([str(workspace / "study")], output=printed)
    assert printed.read_bytes().startswith(b"%PDF")
