"""Every command: help, documentation, exit codes, one JSON object."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from codemix_cli import output
from codemix_cli.main import COMMANDS, LazyGroup, cli
from specs.errors import (
    CheckFailed,
    InputError,
    Preempted,
    Problem,
    ProcessLost,
    RunError,
    SpecError,
)
from specs.version import VERSION

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text("utf-8")
BAD_SPEC = "codemix: 1\nname: bad\nsede: 1\n"


def leaves(
    group: LazyGroup, path: tuple[str, ...]
) -> Iterator[tuple[str, click.Command]]:
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        if isinstance(command, LazyGroup):
            yield from leaves(command, (*path, name))
        else:
            yield " ".join((*path, name)), command


assert isinstance(cli, LazyGroup)
ALL = dict(leaves(cli, ()))


def codemix(*arguments: str) -> Result:
    return CliRunner().invoke(cli, list(arguments), prog_name="codemix")


def spawn(*arguments: str, code: str = "") -> subprocess.CompletedProcess[str]:
    """Run codemix in a process of its own, after some code."""
    script = f"{code}\nfrom codemix_cli.main import cli\ncli(prog_name='codemix')"
    return subprocess.run(
        [sys.executable, "-c", script, *arguments],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
    )


@pytest.fixture
def fails(monkeypatch: pytest.MonkeyPatch) -> list[BaseException]:
    """Make `codemix doctor` raise what the test puts in the list."""
    errors: list[BaseException] = []

    def examine(*_: object, **__: object) -> None:
        raise errors[0]

    monkeypatch.setattr("runtime.doctor.examine", examine)
    return errors


@pytest.mark.parametrize("name", ALL)
def test_command_has_help_with_an_example_that_names_it(name: str) -> None:
    command = ALL[name]
    assert isinstance(command, output.Command)
    assert command.example.startswith(f"codemix {name}")
    shown = codemix(*name.split(), "--help")
    assert shown.exit_code == 0
    assert command.example in shown.stdout
    paragraphs = (command.help or "").split("\n\n")
    assert len(paragraphs) == 2, "one line, one paragraph"


@pytest.mark.parametrize("name", COMMANDS)
def test_line_in_the_table_is_the_first_line_of_the_help(name: str) -> None:
    assert isinstance(cli, LazyGroup)
    command = cli.get_command(click.Context(cli), name)
    assert command is not None
    assert (command.help or "").split("\n")[0] == COMMANDS[name]


@pytest.mark.parametrize("name", ALL)
def test_command_is_in_the_readme(name: str) -> None:
    assert f"codemix {name}" in README


@pytest.mark.parametrize("name", ALL)
def test_command_has_the_shared_options(name: str) -> None:
    options = {option for param in ALL[name].params for option in param.opts}
    assert {"--json", "-q", "--quiet", "-v", "--verbose"} <= options


def test_help_lists_every_command_in_order() -> None:
    lines = codemix("--help").stdout.splitlines()
    table = lines[lines.index("Commands:") + 1 :]
    assert [line.split()[0] for line in table] == list(COMMANDS)


def test_nearly_a_command_is_told_which() -> None:
    shown = codemix("validat")
    assert shown.exit_code == 2
    assert "did you mean 'validate'?" in shown.stderr


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (CheckFailed("it differs"), 1),
        (SpecError("it can't be"), 3),
        (InputError("it is missing"), 4),
        (RunError("it is not finite"), 5),
        (ProcessLost("process 1 of 2 is gone"), 69),
        (ZeroDivisionError("ours"), 70),
        (Preempted("SIGTERM: stopped after 5 of 16 steps"), 75),
        (KeyboardInterrupt(), 130),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else "",
)
def test_error_has_its_exit_code_and_is_one_object(
    error: BaseException, code: int, fails: list[BaseException]
) -> None:
    fails.append(error)
    for arguments in (["doctor"], ["doctor", "--quiet"]):
        shown = codemix(*arguments)
        assert shown.exit_code == code
        assert shown.stdout == ""
        assert "error: " in shown.stderr
    shown = codemix("doctor", "--json")
    assert shown.exit_code == code
    told = json.loads(shown.stdout)
    assert (told["ok"], told["schema_version"]) == (False, 1)
    assert told["problems"][0]["what"]
    assert f"| {code} |" in README, "the README documents every exit code"


def test_our_mistake_shows_its_traceback_and_the_doctor(
    fails: list[BaseException],
) -> None:
    fails.append(ZeroDivisionError("ours"))
    shown = codemix("doctor").stderr
    assert "Traceback" in shown
    assert "codemix doctor" in shown


def test_mistake_of_the_user_shows_no_traceback(fails: list[BaseException]) -> None:
    fails.append(InputError("it is missing", file="a.yaml", line=3, fix="add it"))
    shown = codemix("doctor").stderr
    assert shown == "error: a.yaml:3: it is missing\n  fix: add it\n"


def test_all_problems_are_told_and_counted(fails: list[BaseException]) -> None:
    fails.append(SpecError([Problem(what="one"), Problem(what="two")]))
    shown = codemix("doctor").stderr
    assert shown == "error: one\nerror: two\n2 problems, nothing was run\n"


def test_text_of_an_error_cannot_move_the_cursor(fails: list[BaseException]) -> None:
    fails.append(InputError("\x1b[2J\x07 cleared"))
    assert codemix("doctor").stderr == "error: \\x1b[2J\\x07 cleared\n"


def test_command_module_that_is_broken_is_our_mistake() -> None:
    code = "import sys; sys.modules['codemix_cli.commands.validate'] = None"
    shown = spawn("validate", "specs/debug.yaml", code=code)
    assert shown.returncode == 70
    assert "Traceback" in shown.stderr


@pytest.mark.parametrize("module", ["codemix_cli", "codemix_cli.main"])
def test_python_runs_it_as_a_module(module: str) -> None:
    shown = subprocess.run(
        [sys.executable, "-m", module, "validate", "specs/debug.yaml"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert shown.returncode == 0
    assert shown.stdout.startswith("specs/debug.yaml")
    assert "ok" in shown.stdout


def test_interrupt_exits_130_and_says_that_it_is_safe() -> None:
    wait = "import runtime.doctor, time; runtime.doctor.examine = lambda *a, **k: "
    code = wait + "(print('in', flush=True), time.sleep(60))"
    script = f"{code}\nfrom codemix_cli.main import cli\ncli(prog_name='codemix')"
    process = subprocess.Popen(
        [sys.executable, "-c", script, "doctor"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "in\n"
    time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 130
    assert errors.endswith("it is safe to run the same command again\n")
    assert "Traceback" not in errors


def test_usage_error_is_clicks_own() -> None:
    shown = codemix("validate", "--jsn", "specs/debug.yaml")
    assert shown.exit_code == 2
    assert shown.stdout == ""
    assert "--json" in shown.stderr


def test_quiet_prints_nothing_but_the_exit_code_says_it(tmp_path: Path) -> None:
    bad = tmp_path / "bad.yaml"
    bad.write_text(BAD_SPEC)
    good = codemix("validate", "-q", str(ROOT / "specs/debug.yaml"))
    assert (good.exit_code, good.output) == (0, "")
    assert codemix("validate", "-q", str(bad)).exit_code == 3


def test_colour_is_for_terminals_that_want_it(monkeypatch: pytest.MonkeyPatch) -> None:
    assert output.paint("error:", "red") == "error:"
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert output.paint("error:", "red") != "error:"
    monkeypatch.setenv("NO_COLOR", "1")
    assert output.paint("error:", "red") == "error:"


def test_version_is_printed_alone() -> None:
    shown = codemix("--version")
    assert (shown.exit_code, shown.stdout) == (0, f"codemix {VERSION}\n")
