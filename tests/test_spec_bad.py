"""Every way to get a spec wrong that we know of, each with its golden message."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from specs.errors import CodemixError, InputError, SpecError
from specs.loading import load_experiments

BAD_SPECS = Path(__file__).parent / "bad_specs"
NAMES = sorted(path.stem for path in BAD_SPECS.glob("*.yaml"))

GOOD = (BAD_SPECS / "parents" / "good.yaml").read_bytes()
# How each must be refused: made here, for they are too large or no text at all.
MADE: dict[str, bytes] = {
    "made_ten_megabytes": GOOD + b"# data\n" * 1_500_000,
    "made_many_values": GOOD + b"tags: [" + b"a, " * 200_000 + b"]\n",
    "made_nul_bytes": GOOD.replace(b"two-stages", b"two\0stages"),
    "made_latin_1": GOOD.replace(b"two-stages", "zwei-Stufen-\u00fc".encode("latin-1")),
    "made_utf_16": GOOD.decode().encode("utf-16"),
    "made_utf_16_without_mark": GOOD.decode().encode("utf-16-le"),
    "made_control_character": GOOD.replace(b"two-stages", b"two\x07stages"),
    "made_nested_flow_lists": b"codemix: 1\nname: " + b"[" * 100_000,
    "made_nested_block_lists": b"codemix: 1\nname:\n" + b"- " * 100_000 + b"x\n",
    "made_long_name": GOOD.replace(b"two-stages", b"x" * 900_000),
    "made_long_key": GOOD.replace(b"seed:", b"s" * 1000 + b":"),
    "made_long_path": GOOD.replace(b"data/text", b"../" * 10_000),
    "made_many_digits": GOOD.replace(b"seed: 17", b"seed: " + b"9" * 900_000),
    "made_binary": bytes(range(128, 256)) * 100,
}


def refusal(path: Path) -> CodemixError:
    with pytest.raises(CodemixError, match=r".") as caught:
        load_experiments(path)
    return caught.value


@pytest.mark.parametrize("name", NAMES)
def test_a_bad_spec_has_its_golden_message(
    name: str, golden: Callable[[str, str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(BAD_SPECS)
    error = refusal(Path(f"{name}.yaml"))
    assert isinstance(error, SpecError)
    golden(f"bad_specs/{name}.txt", f"{error}\n")


@pytest.mark.parametrize("name", MADE)
def test_a_bad_file_has_its_golden_message_in_a_second(
    name: str,
    golden: Callable[[str, str], None],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.chdir(tmp_path)
    path = Path(f"{name}.yaml")
    path.write_bytes(MADE[name])
    start = time.process_time()
    error = refusal(path)
    # Under 0.5 s of one core here; the rest is for slower ones.
    assert time.process_time() - start < 3
    golden(f"bad_specs/{name}.txt", f"{error}\n")


@pytest.mark.parametrize("name", [*NAMES, *MADE])
def test_every_problem_says_where_and_what_to_do(name: str, tmp_path: Path) -> None:
    path = BAD_SPECS / f"{name}.yaml"
    if name in MADE:
        path = tmp_path / f"{name}.yaml"
        path.write_bytes(MADE[name])
    for problem in refusal(path).problems:
        assert problem.file
        assert problem.fix
        assert not problem.what[0].isupper()
        assert len(str(problem)) < 500
        whole_file = ("made_ten", "made_utf_16", "yaml_empty", "yaml_only_comments")
        assert problem.line is not None or name.startswith(whole_file)


def test_there_are_at_least_sixty_bad_specs() -> None:
    assert len(NAMES) >= 60


def test_billion_laughs_is_refused_in_milliseconds() -> None:
    start = time.process_time()
    refusal(BAD_SPECS / "yaml_billion_laughs.yaml")
    assert time.process_time() - start < 0.1


@pytest.mark.parametrize("name", ["nowhere.yaml", "", "x" * 300 + ".yaml"])
def test_a_missing_file_is_an_input_error(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert isinstance(refusal(Path(name)), InputError)


def test_a_broken_parent_is_shown_where_it_is_broken() -> None:
    problem = refusal(BAD_SPECS / "extends_a_bad_parent.yaml").problems[0]
    assert problem.file is not None
    assert problem.file.endswith("parents/bad_value.yaml")


def test_a_parent_behind_a_link_out_of_the_workspace_is_refused(tmp_path: Path) -> None:
    (tmp_path / "outside.yaml").write_bytes(GOOD)
    workspace = tmp_path / "workspace"
    (workspace / ".dvc").mkdir(parents=True)
    (workspace / "link.yaml").symlink_to(tmp_path / "outside.yaml")
    heir = workspace / "heir.yaml"
    heir.write_text("codemix: 1\nname: heir\nextends: link.yaml\n")
    assert "must stay inside the workspace" in str(refusal(heir))
