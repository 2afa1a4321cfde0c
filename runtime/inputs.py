"""Which files a spec names: from a URI to paths inside the workspace."""

from __future__ import annotations

import glob
import os
import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from runtime.file_endings import format_of, is_beside_rows
from runtime.question_rows import QUESTION_SUFFIXES
from specs.benchmarks import NO_BENCHMARKS, Benchmarks
from specs.errors import InputError, Problem
from specs.experiment import Experiment
from specs.locations import Remote, parse_remote, scheme_of
from specs.rules import BrokenRules
from specs.task import TaskData

OWN_FOLDERS = frozenset({".dvc", ".git", ".codemix"})
"""Folders of the workspace that hold no data."""

NO_SUCH_FILE = "no such file"

_GLOB = re.compile(r"[*?\[]")
_MAX_NAMED = 5


@dataclass(frozen=True)
class Input:
    """One thing of a spec that is pinned."""

    key: str
    """`sources.NAME`, `sources.NAME.INDEX`, `tokenizer`, `evals.INDEX`, `tasks.NAME`,
    `shots.NAME` or `kept_out.NAME`, as in the lock."""
    uri: str
    format: str | None
    """The source's `format`; null for a single file that isn't a source."""
    others: tuple[str, ...] = ()
    """Files that do as well where `uri` is not there."""
    published: str | None = None
    """Where one gets it, for people."""


@dataclass(frozen=True)
class Located:
    """The files of an input."""

    files: tuple[str, ...]
    """Relative to the workspace, sorted; they exist."""
    targets: tuple[str, ...]
    """What DVC tracks: these files, or the folder that they are in."""
    is_folder: bool = False


def inputs_of(
    experiment: Experiment, benchmarks: Benchmarks = NO_BENCHMARKS
) -> tuple[Input, ...]:
    """Return everything that a spec names, sources first."""
    # Subsets of one source share its files.
    sources = {
        key: Input(key, uri, source.format)
        for name, source in experiment.sources.items()
        for key, uri in source.inputs(name).items()
    }
    inputs = [sources[key] for key in sorted(sources)]
    if experiment.tokenizer.file is not None:
        inputs.append(Input("tokenizer", experiment.tokenizer.file, None))
    for index, evaluation in enumerate(experiment.evals):
        if evaluation.file is not None:
            inputs.append(Input(f"evals.{index}", evaluation.file, None))
    for name, task in sorted(benchmarks.tasks.items()):
        inputs.append(_questions(f"tasks.{name}", task.data))
        if task.shots.data is not None:
            inputs.append(_questions(f"shots.{name}", task.shots.data))
    for name, task in sorted(benchmarks.kept_out.items()):
        inputs.append(_questions(f"kept_out.{name}", task.data))
    return tuple(inputs)


def _questions(key: str, data: TaskData) -> Input:
    """Return the file of a benchmark; the same rows in another format do as well."""
    stem = data.file
    for suffix in QUESTION_SUFFIXES:
        stem = stem.removesuffix(suffix)
    others = tuple(
        stem + suffix for suffix in QUESTION_SUFFIXES if stem + suffix != data.file
    )
    return Input(key, data.file, None, others, data.published)


def remote_of(wanted: Input) -> Remote | None:
    """Return the address of what is elsewhere, in its parts, or None for a path.

    Raises:
        InputError: It is an address of no known kind.
    """
    if scheme_of(wanted.uri) is None:
        return None
    try:
        return parse_remote(wanted.uri)
    except BrokenRules as error:
        [rule] = error.broken
        raise InputError(rule.what, path=wanted.key, fix=rule.fix) from None


def download_folder(wanted: Input) -> str:
    """Return where files from elsewhere go.

    >>> download_folder(Input("sources.web", "s3://bucket/a/*.jsonl", "auto"))
    'data/web'
    >>> download_folder(Input("sources.web.1", "s3://bucket/b/*.jsonl", "auto"))
    'data/web/1'
    """
    kind, _, name = wanted.key.partition(".")
    if kind == "sources":
        return f"data/{name.replace('.', '/')}"
    return f"data/{wanted.key.replace('.', '_')}"


def download_path(wanted: Input) -> str | None:
    """Return where files from elsewhere are, a path or a pattern; None for a path.

    >>> download_path(Input("sources.web", "https://example.org/a/b.jsonl?x=1", "auto"))
    'data/web/b.jsonl'
    >>> download_path(Input("sources.web", "s3://bucket/a/*/b.jsonl", "auto"))
    'data/web/*/b.jsonl'
    >>> download_path(Input("sources.web", "data/b.jsonl", "auto"))

    Raises:
        InputError: It is an address of no known kind.
    """
    remote = remote_of(wanted)
    return None if remote is None else f"{download_folder(wanted)}/{remote.below}"


def locate(wanted: Input, workspace: Path) -> Located:
    """Find the files of an input.

    Raises:
        InputError: There are none, they are outside the workspace, or nothing says how
            to read them.
    """
    path = download_path(wanted) or _inside(wanted, wanted.uri)
    if not (workspace / path).exists():
        here = (other for other in wanted.others if (workspace / other).is_file())
        path = next(here, path)
    place = workspace / path
    if place.is_file():
        located = Located((path,), (path,))
    elif place.is_dir():
        located = Located(_files_in(wanted, workspace, path), (path,), is_folder=True)
    elif _GLOB.search(path):
        files = _matches(path, workspace)
        located = Located(files, files)
    else:
        raise InputError(
            NO_SUCH_FILE,
            file=path,
            path=wanted.key,
            fix=f"get it from {wanted.published}"
            if wanted.published
            else "correct the path, or put it there",
        )
    _check_files(wanted, located, workspace)
    return located


def _inside(wanted: Input, uri: str) -> str:
    """Return a path in its plain form.

    Raises:
        InputError: It points out of the workspace or into a folder of ours.
    """
    path = os.path.normpath(uri)
    parts = PurePosixPath(path).parts
    if PurePosixPath(path).is_absolute() or parts[:1] == ("..",) or path == ".":
        raise InputError(
            f"must be inside the workspace, got {uri!r}",
            path=wanted.key,
            fix="copy the data into the workspace and name the path relative to it",
        )
    if parts[0] in OWN_FOLDERS:
        raise InputError(
            f"{parts[0]} is no place for data",
            path=wanted.key,
            fix="move it out of there",
        )
    return path


def _files_in(wanted: Input, workspace: Path, folder: str) -> tuple[str, ...]:
    """Return the files of a folder that hold documents, hidden ones left out."""
    found = []
    for where, folders, names in os.walk(workspace / folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        base = Path(where).relative_to(workspace)
        found += [
            (base / name).as_posix() for name in names if not name.startswith(".")
        ]
    if wanted.format != "auto":
        return tuple(sorted(found))
    formats = {path: format_of(path, "auto") for path in found}
    if {"jsonl", "parquet", "arrow"} & set(formats.values()):
        formats = {path: formats[path] for path in found if not is_beside_rows(path)}
    kinds = sorted({kind for kind in formats.values() if kind})
    # A README beside data files is not a document that somebody meant to train on.
    if len(kinds) > 1:
        raise InputError(
            f"the folder holds files of several formats: {', '.join(kinds)}",
            file=folder,
            path=wanted.key,
            fix=f"name the files that you mean, such as {folder}/*.jsonl",
        )
    return tuple(sorted(path for path, kind in formats.items() if kind))


def _matches(pattern: str, workspace: Path) -> tuple[str, ...]:
    found = glob.glob(pattern, root_dir=workspace, recursive=True)
    return tuple(
        sorted(
            Path(path).as_posix()
            for path in found
            if (workspace / path).is_file() and not path.endswith(".dvc")
        )
    )


def _check_files(wanted: Input, located: Located, workspace: Path) -> None:
    problems = []
    if not located.files:
        what = "the folder holds no" if located.is_folder else "the pattern matches no"
        problems.append(
            Problem(
                what=f"{what} file that can be read: {wanted.uri}",
                path=wanted.key,
                fix="correct the path, or set the source's format",
            )
        )
    if wanted.format is None and (located.is_folder or len(located.files) > 1):
        problems.append(
            Problem(what="must be a single file", path=wanted.key, fix="name one file")
        )
    unknown = [
        path
        for path in located.files
        if wanted.format is not None and format_of(path, wanted.format) is None
    ]
    for path in unknown[:_MAX_NAMED]:
        problems.append(
            Problem(
                what="nothing says how to read it",
                file=path,
                path=wanted.key,
                fix="set the source's format: text, jsonl, parquet, arrow or notebook",
            )
        )
    root = workspace.resolve()
    for path in (*located.targets, *located.files):
        if not (workspace / path).resolve().is_relative_to(root):
            problems.append(
                Problem(
                    what="is a link that leads out of the workspace",
                    file=path,
                    path=wanted.key,
                    fix="copy the data into the workspace",
                )
            )
    if problems:
        raise InputError(list(dict.fromkeys(problems)))
