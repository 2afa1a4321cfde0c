"""What a bundle tells people: what it is, what is where, how to use and to doubt it."""

from __future__ import annotations

from collections.abc import Mapping

from ledger.bundle_code import CodeBundle
from ledger.bundle_layout import CODE, object_name
from ledger.entry import Entry
from ledger.facts import Repository


def readme_of(
    digest: str, entry: Entry, code: Mapping[str, CodeBundle], steps: list[int]
) -> bytes:
    """Write the README of a bundle.

    Args:
        digest: Of the entry.
        entry: The run.
        code: What became of the two repositories.
        steps: Of the checkpoints that are in it.
    """
    lines = [
        f"codemix run {entry.name}",
        "",
        f"entry    {digest}",
        f"outcome  {entry.outcome.status}, {entry.num_steps} steps",
        f"weights  {entry.weights_digest or 'not finished'}",
        f"claims   determinism: {entry.determinism}",
        "",
        "To rebuild it and compare every step, with codemix installed:",
        "",
        f"    codemix ledger import {entry.name}.crate.zip --into study",
        f"    cd study && codemix reproduce {digest[:12]}",
        "",
        "That needs this file and the DVC remote with the data (pins/remotes.json).",
        "To check every byte without codemix: python verify.py BUNDLE.zip",
        "Whoever gave you the entry's digest another way has proven this bundle.",
        "",
        "What is where",
        "",
        "    spec/          spec, lock and resolved spec",
        "    pins/          .dvc files, which `dvc pull` takes, and the remotes",
        "    environment/   what was installed, name==version",
        "    ledger/        the entry, the documents it needs, the objects they name",
        "    ro-crate-metadata.json says what each file is.",
        "",
        *_stages(entry),
        "",
        "Code",
        "",
        *_code("repository", "codemix", entry.code.repository, code),
        *_code("workspace", "the workspace", entry.code.workspace, code),
        "",
        _checkpoints(steps),
    ]
    return "".join(f"{line}\n" for line in lines).encode()


def _stages(entry: Entry) -> list[str]:
    lines = ["Stages", ""]
    for stage in entry.stages:
        lines.append(f"    {stage.name}: steps {stage.start_step} to {stage.stop_step}")
        for called, ref in (("trace", stage.trace), ("metrics", stage.metrics)):
            lines.append(f"        {called:8} {object_name(ref.sha256)}")
        if stage.reused_from is not None:
            lines.append(f"        trained in entry {stage.reused_from}")
    return lines


def _code(
    key: str,
    called: str,
    repository: Repository | None,
    code: Mapping[str, CodeBundle],
) -> list[str]:
    commit = repository.commit if repository is not None else None
    if code[key].path is not None:
        lines = [f"    {called}: commit {commit}, git clone {CODE[key]}"]
    else:
        named = f"commit {commit}, " if commit is not None else ""
        lines = [f"    {called}: {named}no git bundle: {code[key].why_not}"]
    if repository is not None and repository.diff is not None:
        patch = object_name(repository.diff.sha256)
        lines.append(f"        then git apply {patch}")
    if repository is not None and repository.left_out:
        left_out = ", ".join(repository.left_out)
        lines.append(f"        too large for the patch, not in here: {left_out}")
    return lines


def _checkpoints(steps: list[int]) -> str:
    if not steps:
        return "No checkpoint is in here: `codemix reproduce` makes them again."
    return f"Checkpoints after steps {', '.join(map(str, steps))} are in checkpoints/."
