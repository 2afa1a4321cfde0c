"""What a run comes from and what came of it: as a graph, a tree and a picture."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import NamedTuple

import pytest
from ledger_runs import hex_of, play, record, tensors
from test_reuse_lookup import BALANCED, TEXT, facts_of, record_run

from codemix_cli.lineage_text import ASCII, BOXES, told_lineage
from ledger.amendment import PrefixEnds
from ledger.documents import Stored
from ledger.lineage import Fork, Lineage, lineage_of
from ledger.lineage_svg import lineage_svg
from ledger.recorder import COMPLETED, Diverged, Outcome
from ledger.replay import ReplayRecorder
from ledger.run_recorder import RunRecorder
from ledger.store import Ledger
from ledger.verify import verify
from specs.errors import InputError


class Study(NamedTuple):
    """A ledger with runs that come from each other."""

    ledger: Ledger
    origin: str
    reuser: str
    amended: str
    other: str


@pytest.fixture
def study(tmp_path: Path) -> Study:
    ledger = Ledger.open(tmp_path)
    origin = record_run(ledger, "origin")
    reuser = take_over(ledger, "reuser", [("first", origin, BALANCED)])
    amends = {"entry": reuser, "after": "text"}
    stages = [("balanced", origin, BALANCED), ("text", reuser, TEXT)]
    amended = take_over(ledger, "amended", stages, amends)
    replay = ReplayRecorder(Stored(origin, ledger.read(origin)), ledger)
    play(replay, run_facts=facts_of("origin"))
    other = record_run(ledger, "other")
    return Study(ledger, origin, reuser, amended, other)


def take_over(
    ledger: Ledger,
    name: str,
    stages: list[tuple[str, str, str]],
    amends: dict[str, str] | None = None,
) -> str:
    """Record a run that takes stages over and trains the rest; return its digest."""
    recorder = RunRecorder(ledger, ledger.folder.parent / "runs" / hex_of(name))
    made = facts_of(name, identity=hex_of("run", name), spec={"amends": amends})
    recorder.begin(made)
    for stage, entry, identity in stages:
        recorder.stage_reused(stage, entry, identity=identity)
    if len(stages) == 1:
        recorder.stage_begin("text", 8)
        for step in range(8, 12):
            recorder.step(record(step))
        recorder.checkpoint(12, tensors(12))
        end = hex_of(name, "end")
        recorder.stage_end("text", 12, identity=TEXT, weights_digest=end)
    recorder.finish(COMPLETED)
    assert recorder.digest is not None
    return recorder.digest


@pytest.fixture
def lineage(study: Study) -> Lineage:
    return lineage_of(study.ledger, study.reuser)


def test_a_graph_holds_ancestors_heirs_and_replays_and_no_strangers(
    study: Study, lineage: Lineage
) -> None:
    assert list(lineage.runs) == [study.origin, study.reuser, study.amended]
    assert lineage.runs[study.amended].fork == Fork(study.reuser, "text", 12)
    assert [one.grade for one in lineage.runs[study.origin].replays] == ["EXACT"]
    edges = [
        (edge["kind"], edge["from"], edge["to"]) for edge in lineage.to_json()["edges"]
    ]
    assert edges[1:] == [
        ("reuse", study.origin, study.reuser),
        ("reuse", study.origin, study.amended),
        ("reuse", study.reuser, study.amended),
        ("amendment", study.reuser, study.amended),
    ]
    alone = lineage_of(study.ledger, study.other)
    assert list(alone.runs) == [study.other]


def test_verify_takes_no_offence_at_a_stage_by_another_name(study: Study) -> None:
    assert not verify(study.ledger).problems


def test_the_entries_of_one_recording_are_one_run(study: Study) -> None:
    folder = study.ledger.folder.parent / "runs" / "cut"
    interrupted = Outcome(status="interrupted", reason="Ctrl-C")
    first = RunRecorder(study.ledger, folder)
    play(first, stop=10, outcome=interrupted, run_facts=facts_of("cut"))
    second = RunRecorder(study.ledger, folder)
    play(second, start=8, run_facts=facts_of("cut", resumed_from=8))
    assert second.digest is not None
    assert first.digest is not None
    assert list(lineage_of(study.ledger, second.digest).runs) == [second.digest]
    # Unless the other one is asked for.
    assert first.digest in lineage_of(study.ledger, first.digest).runs


def test_a_run_that_is_not_in_the_ledger_is_named(study: Study, tmp_path: Path) -> None:
    elsewhere = Ledger.open(tmp_path / "elsewhere")
    elsewhere.append(study.ledger.read(study.reuser))
    lineage = lineage_of(elsewhere, study.reuser)
    assert lineage.missing == (study.origin,)
    tree = told_lineage(lineage, ASCII)
    assert tree.split()[:2] == ["?", study.origin[:12]]
    assert tree.splitlines()[0].endswith("not in this ledger")
    assert "not in this ledger" in lineage_svg(lineage)


def test_only_runs_have_a_lineage(study: Study) -> None:
    digest = next(line.digest for line in study.ledger.log() if line.kind == "replay")
    with pytest.raises(InputError, match="is a replay, not a run"):
        lineage_of(study.ledger, digest)


def test_a_tree_says_what_was_taken_over_and_where_runs_parted(
    study: Study, lineage: Lineage
) -> None:
    origin, heir, last = (one[:12] for one in study[1:4])
    rows = [" ".join(row.split()) for row in told_lineage(lineage, ASCII).splitlines()]
    replay = lineage.runs[study.origin].replays[0].digest[:12]
    assert rows == [
        f"origin {origin} 12 steps",
        f"|- replay {replay} EXACT",
        f"`- reuser {heir} <- 4 of 12 steps trained takes over first of {origin}",
        f"`- amended {last} 0 of 12 steps trained goes on after text of {heir}; "
        f"takes over balanced of {origin} and text of {heir}",
    ]
    assert BOXES[3] + "reuser" in told_lineage(lineage, BOXES)


def test_a_picture_is_whole_the_same_each_time_and_says_what_it_shows(
    study: Study, lineage: Lineage
) -> None:
    picture = lineage_svg(lineage)
    assert picture == lineage_svg(lineage_of(study.ledger, study.reuser))
    root = ElementTree.fromstring(picture)
    space = "{http://www.w3.org/2000/svg}"
    (title, described) = (root.findtext(f"{space}{tag}") for tag in ("title", "desc"))
    assert title == "Lineage of reuser"
    assert described is not None
    assert f"goes on from {study.reuser[:12]} after text" in described
    assert "prefers-color-scheme: dark" in picture
    bars = [one.get("class") for one in root.iter(f"{space}rect")]
    assert (bars.count("own"), bars.count("taken")) == (3, 3)
    assert picture.isascii()


def test_a_prefix_that_is_trained_again_must_end_in_the_same_weights(
    study: Study,
) -> None:
    amends = {"entry": study.origin, "after": "text"}
    ends = PrefixEnds(study.ledger, facts_of("run", spec={"amends": amends}).experiment)
    ends.check("balanced", 8, hex_of("weights", 8))
    ends.check("new", 14, hex_of("anything"))
    with pytest.raises(Diverged, match="the prefix is not the one that was trained"):
        ends.check("text", 12, hex_of("others"))
