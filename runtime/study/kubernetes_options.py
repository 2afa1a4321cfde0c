"""Where and on what the jobs of a study run on Kubernetes, as somebody has said it.

What only those who run a cluster know is asked for as `NAME=VALUE`; nothing of it is
guessed, and all that is wrong is told at once. Accelerators have the names that
`codemix plan --on` takes.

Labels of nodes and chips per host are GKE's, from its page "Plan TPUs in GKE".
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from runtime.accelerators import GPUS_PER_NODE, Slice, parse_slice
from specs.errors import InputError, Problem
from specs.names import did_you_mean

OPTION = "--kubernetes-option"

_TPU_NODES = {
    "v4": "tpu-v4-podslice",
    "v5e": "tpu-v5-lite-podslice",
    "v5p": "tpu-v5p-slice",
    "v6e": "tpu-v6e-slice",
}
"""Family -> what GKE labels its nodes with."""

_TPUS_PER_HOST = 4
_ONE_HOST = 8
"""Chips of v5e and v6e that one host may have all of; two hosts of four may as well."""


class Hosts(NamedTuple):
    """What an accelerator is to Kubernetes: pods of one shape, each on its own host."""

    slices: int
    """Groups of pods; more than one are joined by a network."""
    per_slice: int
    """Pods of a group."""
    chips: int
    """Of all pods together; 0: none."""
    resources: dict[str, str]
    """Of each pod: Kubernetes' name -> quantity."""
    labels: dict[str, str]
    """Of the nodes; none: any."""

    @property
    def is_tpu(self) -> bool:
        """Whether GKE tells the pods of each other."""
        return "google.com/tpu" in self.resources

    @property
    def num_pods(self) -> int:
        """Pods, each with one process."""
        return self.slices * self.per_slice


@dataclass(frozen=True, kw_only=True)
class ClusterOptions:
    """What is said of a cluster."""

    image: str
    queue: str
    claim: str
    """A PersistentVolumeClaim that all pods mount; the workspace lies on it."""
    hosts: Hosts
    claim_folder: str | None = None
    """The workspace, seen from the claim's top; None: it is the top."""
    mount_path: str = "/workspace"
    """What the workspace is called in a pod."""
    namespace: str | None = None
    """None: that of the current context of kubectl."""
    service_account: str | None = None
    priority_class: str | None = None
    """One of Kueue's."""
    secret: str | None = None
    """Its keys become variables of the environment."""


class _Rule(NamedTuple):
    pattern: str
    says: str
    is_needed: bool = False


def _names(most: int) -> str:
    """Names as DNS has them, with dots, of so many characters."""
    one = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
    return rf"(?=.{{1,{most}}}\Z){one}(\.{one})*"


_QUANTITY = r"\d+(\.\d+)?(m|k|M|G|T|Ki|Mi|Gi|Ti)?"

_RULES = {
    "image": _Rule(r"[^\s=]+", "a container image that has codemix", True),
    # It becomes the value of a label.
    "queue": _Rule(_names(63), "the name of a LocalQueue of Kueue", True),
    "workspace-claim": _Rule(
        _names(253),
        "the name of a ReadWriteMany PersistentVolumeClaim that holds the workspace",
        True,
    ),
    "claim-folder": _Rule(
        r"(?!/)(?!(.*/)?\.\.(/|\Z))[^\s:]+", "the workspace, seen from the claim's top"
    ),
    "mount-path": _Rule(r"/[^\s:]+", "an absolute path in the pods"),
    "namespace": _Rule(
        r"(?=.{1,63}\Z)[a-z0-9]([-a-z0-9]*[a-z0-9])?", "the name of a namespace"
    ),
    "slice": _Rule(r"\S+", "an accelerator, such as v5e-16 or 8xh100"),
    "chips-per-host": _Rule(r"[1-9]\d{0,3}", "a whole number"),
    "cpu": _Rule(_QUANTITY, "cores of each pod, such as 8"),
    "memory": _Rule(_QUANTITY, "memory of each pod, such as 32Gi"),
    "service-account": _Rule(_names(253), "the name of a ServiceAccount"),
    "priority-class": _Rule(_names(63), "the name of a WorkloadPriorityClass"),
    "secret": _Rule(_names(253), "the name of a Secret"),
}

OPTION_NAMES = tuple(_RULES)


def read_options(pairs: Sequence[tuple[str, str]]) -> ClusterOptions:
    """Read what was said of a cluster.

    Args:
        pairs: Name and value of each option.

    Raises:
        InputError: With every problem of all of them.
    """
    given: dict[str, str] = {}
    problems: list[Problem] = []
    for name, value in pairs:
        problem = _problem_of(name, value, given)
        if problem is None:
            given[name] = value
        else:
            problems.append(problem)
    named = {name for name, _ in pairs}
    problems += [
        _problem(name, "is needed", f"say {OPTION} {name}=...: {rule.says}")
        for name, rule in _RULES.items()
        if rule.is_needed and name not in named
    ]
    hosts = None
    try:
        hosts = _hosts(given, named)
    except InputError as error:
        problems += error.problems
    if problems or hosts is None:
        raise InputError(problems)
    return ClusterOptions(
        image=given["image"],
        queue=given["queue"],
        claim=given["workspace-claim"],
        hosts=hosts,
        claim_folder=given.get("claim-folder"),
        mount_path=given.get("mount-path", ClusterOptions.mount_path),
        namespace=given.get("namespace"),
        service_account=given.get("service-account"),
        priority_class=given.get("priority-class"),
        secret=given.get("secret"),
    )


def _problem_of(name: str, value: str, given: Mapping[str, str]) -> Problem | None:
    rule = _RULES.get(name)
    if rule is None:
        return _problem(name, "unknown option", did_you_mean(name, list(_RULES)))
    if name in given:
        return _problem(name, "is given twice", "say it once")
    if not re.fullmatch(rule.pattern, value):
        return _problem(name, f"is {value!r}", f"give {rule.says}")
    return None


def _problem(name: str, what: str, fix: str | None) -> Problem:
    return Problem(what=what, fix=fix, path=f"{OPTION} {name}")


def _hosts(given: Mapping[str, str], named: set[str]) -> Hosts:
    """Return what each pod gets, and how many there are."""
    plain = {name: given[name] for name in ("cpu", "memory") if name in given}
    if "slice" in given:
        try:
            where = parse_slice(given["slice"])
        except InputError as error:
            one = error.problems[0]
            raise InputError(_problem("slice", one.what, one.fix)) from None
        return _on(where, given.get("chips-per-host"), plain)
    if "slice" in named:
        return Hosts(1, 1, 0, plain, {})  # What is wrong with it is told already.
    problems = [
        _problem(
            name,
            "is needed where there is no accelerator",
            f"say {OPTION} {name}=..., or {OPTION} slice=v5e-16",
        )
        for name in ("cpu", "memory")
        if name not in named
    ]
    if "chips-per-host" in given:
        problems.append(
            _problem("chips-per-host", "there are no chips", "say slice= as well")
        )
    if problems:
        raise InputError(problems)
    return Hosts(1, 1, 0, plain, {})


def _on(where: Slice, asked: str | None, plain: dict[str, str]) -> Hosts:
    """Share an accelerator out to its hosts."""
    per_slice = math.prod(where.grid)
    possible = _possible(where, per_slice)
    chips = possible[0] if asked is None else int(asked)
    if chips not in possible:
        told = " or ".join(map(str, possible))
        what = f"hosts of {where.name} have {told} chips, got {chips}"
        raise InputError(_problem("chips-per-host", what, f"use {told}"))
    is_tpu = where.chip.kind == "tpu"
    resource = "google.com/tpu" if is_tpu else "nvidia.com/gpu"
    labels = {}
    if is_tpu:
        grid = "x".join(map(str, where.grid))
        labels = {
            "cloud.google.com/gke-tpu-accelerator": _TPU_NODES[where.family],
            "cloud.google.com/gke-tpu-topology": grid,
        }
    return Hosts(
        slices=where.count,
        per_slice=per_slice // chips,
        chips=where.num_chips,
        resources={**plain, resource: str(chips)},
        labels=labels,
    )


def _possible(where: Slice, chips: int) -> tuple[int, ...]:
    """Return the chips that a host of a slice may have, the usual number first."""
    if where.chip.kind == "gpu":
        powers = [2**power for power in range(chips.bit_length())]
        usual = min(chips, GPUS_PER_NODE)
        return (usual, *(one for one in powers if one != usual))
    if len(where.grid) == 2 and chips == _ONE_HOST:
        return _ONE_HOST, _TPUS_PER_HOST
    return (min(chips, _TPUS_PER_HOST),)
