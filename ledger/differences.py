"""How the code and machine of a replay differ from those of the original.

The list is ordered by how likely a difference changes numbers, so the first line is
the first suspect.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Literal, Protocol

from ledger.facts import CodeFacts, EnvironmentFacts, JsonObject, Repository
from specs.base import Value
from specs.canonical import digest_of
from specs.lock import Lock

Rank = Literal["numerics", "software", "incidental"]

RankOf = Callable[[str], Rank]

_RANKS: tuple[Rank, ...] = ("numerics", "software", "incidental")

_NUMERIC_DISTRIBUTIONS = frozenset(
    {"jax", "jaxlib", "libtpu", "flax", "optax", "numpy"}
    | {"ml-dtypes", "scipy", "sentencepiece", "tensorflow", "seqio"}
)
_NUMERIC_PREFIXES = ("jax-cuda", "nvidia-", "jax-rocm")


class Difference(Value):
    """One fact that is not what it was."""

    path: str
    """Dotted place, such as `environment.distributions.jaxlib`."""
    was: str | None
    """Null where it was not there."""
    now: str | None
    rank: Rank
    """`numerics` may change bits by itself, `software` perhaps, `incidental` hardly."""

    def __str__(self) -> str:
        return f"{self.path}: was {_shown(self.was)}, is {_shown(self.now)}"


class Inputs(Protocol):
    """What an entry and the facts of a run both say of where numbers come from."""

    @property
    def numerics(self) -> str:
        """Version of the numerics."""

    @property
    def canary(self) -> str | None:
        """Digest of a fixed piece of arithmetic on the devices."""

    @property
    def code(self) -> CodeFacts:
        """The code that ran."""

    @property
    def environment(self) -> EnvironmentFacts:
        """The machine and software that it ran on."""

    @property
    def devices(self) -> JsonObject:
        """The devices, as the runtime sees them."""


def compare_inputs(
    was: Inputs, now: Inputs, was_lock: Lock, now_lock: Lock
) -> tuple[Difference, ...]:
    """List how data, code, machine and devices differ, most suspicious first."""
    return ranked(
        [
            *compare_values("numerics", was.numerics, now.numerics),
            *compare_values("canary", was.canary, now.canary),
            *compare_locks(was_lock, now_lock),
            *compare_code(was.code, now.code),
            *compare_environment(was.environment, now.environment),
            *compare_devices(was.devices, now.devices),
        ]
    )


def compare_code(was: CodeFacts, now: CodeFacts) -> tuple[Difference, ...]:
    """List how the code differs, most suspicious first.

    Where the files of our packages are the same, commit and patch are incidental.
    """
    is_same = was.packages == now.packages
    rank: Rank = "incidental" if is_same else "software"
    found = _compare_maps("code.packages", was.packages, now.packages, _package_rank)
    found += _compare_one("code.codemix", was.codemix, now.codemix, rank)
    for name in ("repository", "workspace"):
        old, new = getattr(was, name), getattr(now, name)
        for field in ("commit", "dirty"):
            found += _compare_one(
                f"code.{name}.{field}",
                _text(getattr(old, field, None)),
                _text(getattr(new, field, None)),
                rank if name == "repository" else "incidental",
            )
        found += _compare_one(
            f"code.{name}.diff", _patch(old), _patch(new), "incidental"
        )
    return ranked(found)


def compare_environment(
    was: EnvironmentFacts, now: EnvironmentFacts
) -> tuple[Difference, ...]:
    """List how machine and software differ, most suspicious first."""
    found: list[Difference] = []
    old, new = _distributions(was), _distributions(now)
    found += _compare_maps("environment.distributions", old, new, _distribution_rank)
    found += _compare_maps(
        "environment.variables", was.variables, now.variables, lambda _: "numerics"
    )
    for field, rank in _CPU_RANKS.items():
        found += _compare_one(
            f"environment.cpu.{field}",
            _text(getattr(was.cpu, field)),
            _text(getattr(now.cpu, field)),
            rank,
        )
    for field, rank in _SYSTEM_RANKS.items():
        found += _compare_one(
            f"environment.{field}", getattr(was, field), getattr(now, field), rank
        )
    return ranked(found)


def compare_devices(was: JsonObject, now: JsonObject) -> tuple[Difference, ...]:
    """List how the devices differ."""
    old = {name: _text(value) for name, value in was.items()}
    new = {name: _text(value) for name, value in now.items()}
    return ranked(_compare_maps("devices", old, new, lambda _: "numerics"))


def compare_locks(was: Lock, now: Lock) -> tuple[Difference, ...]:
    """List which inputs and which stores made of them differ."""
    return ranked(
        _compare_maps("data", _locked(was), _locked(now), lambda _: "numerics")
    )


def compare_values(
    path: str, was: str | None, now: str | None, rank: Rank = "numerics"
) -> tuple[Difference, ...]:
    """Compare one fact by itself, such as the canary."""
    return tuple(_compare_one(path, was, now, rank))


def ranked(differences: Iterable[Difference]) -> tuple[Difference, ...]:
    """Order differences: first suspect first, then by path."""
    return tuple(
        sorted(differences, key=lambda found: (_RANKS.index(found.rank), found.path))
    )


_CPU_RANKS: dict[str, Rank] = {
    "architecture": "numerics",
    "features": "numerics",
    "model": "software",
    "num_usable_cores": "software",
    "num_cores": "incidental",
}

_SYSTEM_RANKS: dict[str, Rank] = {
    "python": "software",
    "libc": "software",
    "python_build": "incidental",
    "system": "incidental",
    "kernel": "incidental",
}


def _package_rank(package: str) -> Rank:
    return "numerics" if package in {"runtime", "specs"} else "software"


def _distribution_rank(name: str) -> Rank:
    is_numeric = name in _NUMERIC_DISTRIBUTIONS or name.startswith(_NUMERIC_PREFIXES)
    return "numerics" if is_numeric else "incidental"


def _distributions(facts: EnvironmentFacts) -> dict[str, str]:
    return {
        name: found.version
        + (f" (files {found.files_sha256[:12]})" if found.files_sha256 else "")
        for name, found in facts.distributions.items()
    }


def _compare_maps(
    path: str,
    was: Mapping[str, str | None],
    now: Mapping[str, str | None],
    rank_of: RankOf,
) -> list[Difference]:
    found: list[Difference] = []
    for name in sorted({*was, *now}):
        found += _compare_one(
            f"{path}.{name}", was.get(name), now.get(name), rank_of(name)
        )
    return found


def _compare_one(
    path: str, was: str | None, now: str | None, rank: Rank
) -> list[Difference]:
    if was == now:
        return []
    return [Difference(path=path, was=was, now=now, rank=rank)]


def _locked(lock: Lock) -> dict[str, str]:
    """Name every locked thing by what it holds, not by where it is."""
    facts = {
        name: digest_of([file.sha256 for file in locked.files])
        for name, locked in lock.inputs.items()
    }
    for name, store in lock.stores.items():
        facts[f"stores.{name}"] = store.manifest_sha256
    if lock.tokenizer_sha256 is not None:
        facts["tokenizer_model"] = lock.tokenizer_sha256
    return facts


def _patch(repository: Repository | None) -> str | None:
    if repository is None or repository.diff is None:
        return None
    return repository.diff.sha256


def _text(value: object) -> str | None:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, tuple):
        return " ".join(str(item) for item in value)
    return str(value)


def _shown(value: str | None) -> str:
    if value is None:
        return "absent"
    return value if len(value) <= 100 else f"{value[:100]}..."
