"""Completing what is typed: through click's own machinery, and through a real bash."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import ledger_runs
import pytest
from test_architecture import HEAVY
from test_cli_commands import codemix

from ledger.run_recorder import RunRecorder
from ledger.store import Ledger

ROOT = Path(__file__).resolve().parent.parent

WRAPPER = f"""#!/bin/sh
PYTHONPATH={shlex.quote(str(ROOT))} exec {shlex.quote(sys.executable)} -c '
from codemix_cli.main import cli; cli(prog_name="codemix")' "$@"
"""


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs `made-up`, `other`, and two that are both named `twice`."""
    folder = tmp_path_factory.mktemp("completion")
    (folder / ".dvc").mkdir()
    ledger = Ledger.open(folder)
    entry = ledger_runs.play(RunRecorder(ledger, folder / "run"))
    for number, name in enumerate(["other", "twice", "twice"]):
        update = {"name": name, "recording": str(number)}
        ledger.append(entry.model_copy(update=update))
    program = folder / "bin" / "codemix"
    program.parent.mkdir()
    program.write_text(WRAPPER)
    program.chmod(0o755)
    return folder


def offered(folder: Path, *words: str) -> list[str]:
    """What click answers a bash that asks for the last word."""
    done = subprocess.run(
        [folder / "bin" / "codemix"],
        cwd=folder,
        env={
            **os.environ,
            "_CODEMIX_COMPLETE": "bash_complete",
            "COMP_WORDS": " ".join(["codemix", *words]),
            "COMP_CWORD": str(len(words)),
        },
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == ""
    return done.stdout.splitlines()


@pytest.mark.parametrize("command", ["ledger show", "reproduce", "ledger tag"])
def test_names_that_mean_one_run_are_offered(workspace, command):
    assert offered(workspace, *command.split(), "ma") == ["plain,made-up"]


def test_digests_are_offered_and_names_that_several_have_are_not(workspace):
    digests = [line.digest[:12] for line in Ledger.open(workspace).log()]
    all_of_them = offered(workspace, "ledger", "show", "")
    assert sorted(all_of_them) == sorted(
        f"plain,{text}" for text in ["made-up", "other", *digests]
    )
    assert f"plain,{digests[2]}" in offered(workspace, "ledger", "show", digests[2][:3])


def test_commands_are_offered_too(workspace):
    assert "plain,ledger" in offered(workspace, "led")


@pytest.mark.parametrize("damage", ["no workspace", "no ledger", "garbage"])
def test_nothing_that_is_wrong_is_told_to_one_who_types(workspace, tmp_path, damage):
    folder = tmp_path / "here"
    shutil.copytree(workspace, folder)
    log = folder / ".codemix" / "ledger" / "log.jsonl"
    if damage == "no workspace":
        shutil.rmtree(folder / ".dvc")
    elif damage == "no ledger":
        shutil.rmtree(folder / ".codemix")
    else:
        log.write_bytes(b"\xff\xfe\n{}\n")
    assert offered(folder, "ledger", "show", "ma") in ([""], ["file,ma"])


def test_completing_loads_nothing_heavy(workspace):
    script = (
        "import sys\nfrom codemix_cli.completion import complete\n"
        "assert complete(None, None, 'ma')[0].value == 'made-up'\n"
        "print(*sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=workspace,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    loaded = {name.split(".")[0] for name in done.stdout.split()}
    assert not loaded & {*HEAVY, "pydantic", "rich", "sqlite3", "numpy"}


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_is_taught(shell):
    shown = codemix("completion", shell)
    assert shown.exit_code == 0
    assert f"_CODEMIX_COMPLETE={shell}_complete" in shown.stdout


@pytest.mark.skipif(shutil.which("bash") is None, reason="no bash here")
def test_a_real_bash_completes_an_entry(workspace):
    script = (
        'PATH="$PWD/bin:$PATH"\n'
        'eval "$(codemix completion bash)"\n'
        "complete -p codemix\n"
        "COMP_WORDS=(codemix ledger show ot); COMP_CWORD=3\n"
        "_codemix_completion codemix\n"
        'echo "${COMPREPLY[@]}"\n'
    )
    done = subprocess.run(
        ["bash", "--norc", "-c", script],
        cwd=workspace,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines()[-1] == "other"
    assert "-F _codemix_completion codemix" in done.stdout
