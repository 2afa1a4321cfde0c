"""`extends: {entry, after}`: a spec that goes on from a run that the ledger has.

The run's resolved spec, cut after one of its stages, takes the place of a parent file,
and the file's own stages come after it. What decides the bits of the stages before the
cut can't be changed: they are trained already.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from specs.apportion import source_shares
from specs.declared import kept_once
from specs.document import Document
from specs.errors import InputError, Problem, SpecError
from specs.experiment import NOT_HASHED, Experiment
from specs.names import did_you_mean, mapping
from specs.plan import Plan
from specs.resolve import plan_experiment
from specs.rules import Place, shown
from specs.workspace import find_workspace

SHORTEST_PREFIX = 4
_LONGEST_PREFIX = 64
_HEX = frozenset("0123456789abcdef")
_LONGEST = "longest sequence length"
_WRITTEN_IN = {
    "sequences": "mixtures",
    "stages": "batch",
    "holdout": "sources",
    _LONGEST: "stages",
}
"""What of a plan changes -> the key of a spec that probably does it."""

_LIST = "see `codemix ledger list`"

Refuse = Callable[[str, str], SpecError]


class Parent(NamedTuple):
    """A run that a spec goes on from."""

    digest: str
    """Of its entry."""
    spec: dict[str, Any]
    """Its resolved spec."""
    ended: list[str]
    """Names of the stages that it ended."""


def read_parent(path: Path, text: str, refuse: Refuse) -> Parent:
    """Read the entry that a spec goes on from, checked against its name.

    Args:
        path: Of the spec; the entry is in the ledger of its workspace.
        text: Beginning of the entry's digest.
        refuse: Makes the error from what is wrong and what to do.

    Raises:
        SpecError: There is no such entry, or none that can be gone on from.
    """
    file = _entry_file(path, text, refuse)
    data, name = file.read_bytes(), file.stem[:12]
    if hashlib.sha256(data).hexdigest() != file.stem:
        what = f"entry {name} was changed: its bytes are not its name"
        raise refuse(what, "restore it from a copy of the ledger")
    entry = json.loads(data)
    if entry.get("kind") != "run":
        about = str(entry.get("original") or entry.get("subject"))[:12]
        what = f"entry {name} is not a run: {entry.get('kind')}"
        raise refuse(what, f"name the run that it is about, {about}")
    if entry.get("determinism") == "fast":
        what = (
            f"entry {name} is of a run with determinism: fast, which promises no bits"
        )
        raise refuse(what, "go on from a run that promises its bits")
    ended = [stage["name"] for stage in entry["stages"] if stage["identity"]]
    return Parent(file.stem, entry["spec"], ended)


def continued(path: Path, document: Document) -> Document:
    """Put a file after the run that its `extends` names.

    Args:
        path: Of the file.
        document: What it holds, its parent files merged.

    Returns:
        The document of the run, cut, without the file's own values; and how many
        stages it has.

    Raises:
        SpecError: `extends` is wrong, or there is no such entry or stage.
    """
    _check_keys(document)
    extends = document.value["extends"]

    def refuse_entry(what: str, fix: str) -> SpecError:
        return SpecError(document.problem(("extends", "entry"), what, fix))

    parent = read_parent(path, extends["entry"], refuse_entry)
    after = extends["after"]
    if after not in parent.ended:
        what = f"no stage {shown(after)} came to its end in entry {parent.digest[:12]}"
        fix = did_you_mean(after, parent.ended)
        raise SpecError(document.problem(("extends", "after"), what, fix))
    kept = {key: parent.spec[key] for key in parent.spec if key not in NOT_HASHED}
    kept["stages"] = _cut(parent.spec["stages"], after)
    kept["amends"] = {"entry": parent.digest, "after": after}
    return Document(kept, {(): document.mark_at(())})


def after_prefix(base: Document, document: Document) -> Document:
    """Move the stages of a file behind those that its run has trained."""
    own = document.value.get("stages")
    num = len(base.value["stages"])
    if not own:
        after = base.value["amends"]["after"]
        fix = f"add the stages that come after {after!r}"
        raise SpecError(document.problem(("stages",), "is required", fix))
    if not isinstance(own, list):
        return document
    marks = {_moved(place, num): mark for place, mark in document.marks.items()}
    stages = [*base.value["stages"], *own]
    return Document({**document.value, "stages": stages}, marks)


def prefix_problems(
    path: Path, experiment: Experiment, document: Document
) -> list[Problem]:
    """Say what a spec changes of the stages that are trained already.

    Args:
        path: Of the spec.
        experiment: It goes on from a run.
        document: What the experiment was read from.
    """
    assert experiment.amends is not None
    digest, after = experiment.amends.entry, experiment.amends.after

    def refuse(what: str, fix: str) -> SpecError:
        return SpecError(document.problem(("extends",), what, fix))

    was = Experiment.model_validate(read_parent(path, digest, refuse).spec)
    num_stages = len(_cut(was.to_json()["stages"], after))
    old = _deciding(was, plan_experiment(was), num_stages)
    new = _deciding(experiment, plan_experiment(experiment), num_stages)
    changed: dict[str, str] = {}
    for key in {**old, **new}:
        is_gone = key.startswith("sources.") and key not in new
        if old.get(key) != new.get(key) and not is_gone:
            # One change shows in many places; the first of a kind is told.
            changed.setdefault(key.partition(".")[0], key)
    return [
        document.problem(
            _place(key, document),
            "an amendment keeps the trained prefix immutable, but "
            f"{key} was {shown(old.get(key))}, is {shown(new.get(key))}",
            _FIXES.get(group, "delete it, or write a spec of its own"),
        )
        for group, key in changed.items()
    ]


def _entry_file(path: Path, text: str, refuse: Refuse) -> Path:
    is_digest = SHORTEST_PREFIX <= len(text) <= _LONGEST_PREFIX and not set(text) - _HEX
    if not is_digest:
        what = f"must be the first {SHORTEST_PREFIX} or more hex digits of an entry"
        raise refuse(f"{what}, got {shown(text)}", _LIST)
    try:
        workspace = find_workspace(path)
    except InputError:
        what = "names an entry, but no folder above this file is a workspace"
        raise refuse(what, "codemix init .") from None
    folder = workspace / ".codemix" / "ledger" / "entries"
    found = sorted(folder.glob(f"{text}*.json"))
    if not found:
        raise refuse(f"no entry of this ledger begins with {text!r}", _LIST)
    if len(found) > 1:
        digests = ", ".join(one.stem[:12] for one in found[:5])
        what = f"{text!r} means {len(found)} entries"
        raise refuse(what, f"give more of the digest, such as one of {digests}")
    return found[0]


def _check_keys(document: Document) -> None:
    extends = document.value["extends"]
    known = ("entry", "after")
    problems = [
        document.problem(("extends", key), "unknown key", did_you_mean(str(key), known))
        for key in extends
        if key not in known
    ]
    for key in known:
        value = extends.get(key)
        if key not in extends:
            what, fix = "is required", f"add '{key}:'"
        elif not isinstance(value, str):
            # YAML takes digests of digits alone for numbers, and 12e45678 too.
            what, fix = f"must be text, got {shown(value)}", "put quotes around it"
        else:
            continue
        problems.append(document.problem(("extends", key), what, fix))
    if problems:
        raise SpecError(problems)


def _cut(stages: list[dict[str, Any]], after: str) -> list[dict[str, Any]]:
    names = [stage["name"] for stage in stages]
    return stages[: names.index(after) + 1]


def _moved(place: Place, num: int) -> Place:
    if place[:1] == ("stages",) and len(place) > 1 and isinstance(place[1], int):
        return ("stages", place[1] + num, *place[2:])
    return place


_FIXES = {
    "batch": "write `batch` in the new stages",
    "stages": "delete it; what new stages need can be written in them",
    _LONGEST: "keep the longest sequence length of all stages: data is shuffled by it",
    "holdout": "keep the largest holdout of all sources: it keeps documents out",
}


def _deciding(experiment: Experiment, plan: Plan, num_stages: int) -> dict[str, Any]:
    """Return what decides the bits of the first stages, and names no bytes."""
    train = experiment.tokenizer.train
    shares = source_shares(train.mixture, experiment.mixtures) if train else {}
    facts: dict[str, Any] = {
        "seed": plan.seed,
        "determinism": plan.determinism,
        "parallel.tensor": plan.tensor,
        _LONGEST: plan.shuffle_unit,
        "holdout": max(source.reserve for source in plan.sources.values()),
    }
    for key, value in plan.model.to_json().items():
        if key == "vocab_size":
            continue  # The tokenizer's.
        facts["precision.compute" if key == "compute" else f"model.{key}"] = value
    for key, value in plan.optimizer.to_json().items():
        facts[f"optimizer.{key}"] = value
    tokenizer = experiment.tokenizer.to_json()
    for key, value in tokenizer.items():
        facts[f"tokenizer.{key}"] = value if key != "train" else bool(value)
    if train:
        facts["tokenizer.train.sample_bytes"] = train.sample_bytes
        facts["tokenizer.train.mixture"] = {n: str(s) for n, s in shares.items()}
    names = set(shares)
    for index, stage in enumerate(plan.stages[:num_stages]):
        names |= set(stage.sequences)
        planned = stage.model_dump(mode="json", exclude={"name", "accumulation"})
        # What follows from the others is told last.
        planned |= {key: planned.pop(key) for key in ("start_step", "stop_step")}
        facts |= dict(_leaves(f"stages.{index}", planned))
    # One that is not drawn from any more shows in the stages.
    for name in names & set(plan.sources):
        planned = plan.sources[name].to_json()
        planned["uri"] = experiment.sources[name].uri
        planned["deduplicate"] = kept_once(experiment, plan, name)
        for key in ("reserve", "max_epochs", "pinned_as"):
            planned.pop(key, None)
        facts |= {f"sources.{name}.{key}": value for key, value in planned.items()}
    return facts


def _leaves(path: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for key, one in value.items():
            yield from _leaves(f"{path}.{key}", one)
    else:
        yield path, value


def _place(key: str, document: Document) -> Place:
    """Return where a file may have written what changed."""
    parts = key.split(".")
    kind = "sequences" if "sequences" in parts else parts[0]
    first = _WRITTEN_IN.get(kind, kind)
    for place in ((first, *parts[1:]), (first, *parts[1:2]), (first,)):
        if place in document.marks:
            return place
    return ("stages",)


def files_never_write(document: Document) -> Iterator[Problem]:
    """Yield a problem if a file writes what only `extends` or `subsets` may set."""
    if document.value.get("amends") is not None:
        fix = "write extends: {entry: DIGEST, after: STAGE}"
        yield document.problem(("amends",), "is set by `extends`, never written", fix)
    for name, source in mapping(document.value.get("sources")).items():
        if mapping(source).get("pinned_as") is not None:
            place: Place = ("sources", name, "pinned_as")
            fix = "write subsets: {field: FIELD, weights: {VALUE: WEIGHT, ...}}"
            yield document.problem(place, "is set by `subsets`, never written", fix)
