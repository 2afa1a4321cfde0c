"""Secrets reach no entry, no journal, no state of a delivery, no log, no message."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ledger_runs import facts, play
from test_mlflow_delivery import recorder

from ledger.delivery import tracking_uri
from ledger.overview import show_entry
from ledger.provenance import collect_code, collect_environment
from ledger.recorder import Outcome
from ledger.store import Ledger
from ledger.sync import sync
from specs.credentials import credentials_in, secrets_of, without_credentials
from specs.errors import InputError

SECRET = "hunter2-c0rrect"

SHAPES = (
    f"http://ana:{SECRET}@127.0.0.1:1",
    f"http://{SECRET}@127.0.0.1:1",
    f"http://127.0.0.1:1/?token={SECRET}",
    f"http://127.0.0.1:1/mlflow?a=1&api_key={SECRET}&b=2",
    f"postgresql+psycopg2://ana:{SECRET}@127.0.0.1:1/x",
    f"postgresql+psycopg2://ana:a/b@c?d#{SECRET}@127.0.0.1:1/x",
    f"postgresql+psycopg2://127.0.0.1:1/x?user=ana&password={SECRET}",
    f"postgresql+psycopg2://127.0.0.1:1/x?sslmode=require&sslpassword={SECRET}",
    f"mysql+pymysql://ana:{SECRET}@127.0.0.1:1/x",
)
"""Addresses of dead tracking servers."""


def assert_nowhere(folder: Path, secret: str = SECRET) -> None:
    num_files = 0
    for path in folder.rglob("*"):
        if path.is_file():
            num_files += 1
            assert secret.encode() not in path.read_bytes(), path
    assert num_files > 5


@pytest.mark.parametrize(
    "uri",
    [SHAPES[0], *(pytest.param(one, marks=pytest.mark.slow) for one in SHAPES[1:])],
)
def test_no_byte_of_a_workspace_holds_a_secret_of_its_tracking_server(
    uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XLA_FLAGS", f"--xla_dump_to=https://h/x?token={SECRET}")
    monkeypatch.setenv("JAX_SESSION_TOKEN", SECRET)
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", f"https://ana:{SECRET}@h/cache")
    monkeypatch.setenv("OMP_DISPLAY_ENV", SECRET)
    recording = recorder(tmp_path, uri)
    run_facts = facts.__wrapped__(environment=collect_environment())
    failed = Outcome(status="failed", reason=f"OSError: can't reach {uri}")
    play(recording, run_facts=run_facts, outcome=failed)
    assert SECRET not in str(recording.delivered)
    assert recording.digest is not None
    shown = show_entry(Ledger.open(tmp_path), recording.digest)
    assert SECRET not in json.dumps(shown)
    variables = shown["entry"]["environment"]["variables"]
    assert variables["XLA_FLAGS"] == "--xla_dump_to=https://h/x?token=***"
    assert variables["JAX_COMPILATION_CACHE_DIR"] == "https://h/cache"
    assert_nowhere(tmp_path)


def test_a_delivering_process_is_told_the_address_where_only_we_can_look(
    tmp_path: Path,
) -> None:
    recording = recorder(tmp_path, SHAPES[0])
    play(recording, outcome=None)
    delivery = recording._delivery
    assert delivery is not None
    assert delivery._process is not None
    arguments = Path(f"/proc/{delivery._process.pid}/cmdline").read_bytes()
    assert b"ledger.deliver" in arguments
    assert SECRET.encode() not in arguments
    recording.close()
    assert SECRET not in str(sync(tmp_path, SHAPES[0]))
    assert_nowhere(tmp_path)


def test_a_refused_address_is_named_without_its_password(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="mongodb://h/x") as caught:
        tracking_uri(tmp_path, f"mongodb://ana:{SECRET}@h/x")
    assert SECRET not in str(caught.value)


def git(folder: Path, *arguments: str) -> None:
    identity = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
    subprocess.run(
        ["git", *identity, *arguments], cwd=folder, check=True, capture_output=True
    )


def test_files_that_hold_secrets_stay_out_of_the_patch_and_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DEPLOY_TOKEN", "s3same-0pen-up")
    repository = tmp_path / "repository"
    repository.mkdir()
    git(repository, "init", "--quiet")
    remote = f"https://ana:{SECRET}@example.org/x.git"
    git(repository, "remote", "add", "origin", remote)
    (repository / "was.py").write_text(f"URL = 'https://ana:{SECRET}@h/x'\n")
    (repository / "plain.py").write_text("x = 1\n")
    git(repository, "add", "--all")
    git(repository, "commit", "--quiet", "--message", "first")
    (repository / "was.py").write_text("URL = 'https://h/x'\n")
    (repository / "plain.py").write_text("x = 2\n")
    (repository / ".env").write_text("SOMETHING=1\n")
    (repository / "token.txt").write_text("s3same-0pen-up\n")
    (repository / "notes.txt").write_text(f"see https://h/x?sig={SECRET}\n")
    ledger = Ledger.open(tmp_path / "workspace")
    code = collect_code(repository, ledger.objects.put)
    assert code.workspace is not None
    assert code.workspace.left_out == (".env", "notes.txt", "token.txt", "was.py")
    assert code.workspace.diff is not None
    patch = ledger.objects.get(code.workspace.diff)
    assert b"+x = 2" in patch
    assert SECRET.encode() not in patch
    assert b"s3same-0pen-up" not in patch
    assert SECRET not in json.dumps(code.to_json())


LETTERS = st.text("abcXYZ019-._~%", min_size=12, max_size=20)


@given(LETTERS, LETTERS, st.sampled_from(["http", "https", "postgresql", "s3"]))
def test_no_login_survives_whatever_its_letters(
    user: str, password: str, scheme: str
) -> None:
    address = f"{scheme}://{user}:{password}@example.org:80/x?n=1"
    assert (
        without_credentials(f"at {address}!") == f"at {scheme}://example.org:80/x?n=1!"
    )
    assert password in secrets_of(address)
    assert without_credentials(f"<{password}>", secrets_of(address)) == "<***>"


@given(st.text("ab:/?&=@#.1 ", max_size=40))
def test_taking_credentials_out_leaves_none(text: str) -> None:
    once = without_credentials(f"https://{text}")
    assert not credentials_in(once)


@pytest.mark.parametrize(
    "address",
    [
        "data/*.jsonl.zst",
        "hf://datasets/owner/name@main/data.parquet",
        "https://example.org/a.txt?version=3&monkey=1",
        "s3://bucket/path/of@day/x.parquet",
        "http://127.0.0.1:5000/x@y",
        "sqlite:////tmp/a/mlflow.db",
    ],
)
def test_an_ordinary_address_holds_no_credential(address: str) -> None:
    assert credentials_in(address) == []
    assert without_credentials(address) == address
