"""Where a run came from: the commit, a patch that really applies, and the machine."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

import ledger
from ledger import repository as repository_module
from ledger.facts import ObjectRef, Repository
from ledger.objects import ObjectStore
from ledger.provenance import _record_digest, collect_code, collect_environment
from ledger.repository import inspect_repository

ROOT = Path(__file__).parents[1]


def git(folder: Path, *arguments: str, data: bytes = b"") -> str:
    return subprocess.run(
        ["git", "-c", "user.name=a", "-c", "user.email=a@b", *arguments],
        cwd=folder,
        input=data,
        check=True,
        capture_output=True,
        env={**os.environ, "GIT_CONFIG_GLOBAL": os.devnull},
    ).stdout.decode()


def snapshot(folder: Path) -> dict[str, tuple[object, ...]]:
    """Every file that git does not ignore, with mode and bytes or link."""
    names = git(folder, "ls-files", "-co", "--exclude-standard", "-z").split("\0")
    found: dict[str, tuple[object, ...]] = {}
    for name in filter(None, names):
        path = folder / name
        if path.is_symlink():
            found[name] = ("link", os.readlink(path))
        elif path.exists():
            found[name] = (os.access(path, os.X_OK), path.read_bytes())
    return found


@pytest.fixture
def store(tmp_path) -> ObjectStore:
    return ObjectStore(tmp_path / "objects")


@pytest.fixture
def repo(tmp_path) -> Path:
    folder = tmp_path / "repo"
    folder.mkdir()
    git(folder, "init", "-b", "main")
    (folder / ".gitignore").write_text("ignored/\n")
    (folder / "kept.txt").write_text("one\ntwo\n")
    (folder / "gone.txt").write_text("soon\n")
    (folder / "pixels.bin").write_bytes(bytes(range(256)))
    git(folder, "add", ".")
    git(folder, "commit", "-m", "first")
    return folder


def change_everything(folder: Path) -> None:
    (folder / "kept.txt").write_text("one\nthree\n")
    (folder / "gone.txt").unlink()
    (folder / "pixels.bin").write_bytes(bytes(range(255, -1, -1)))
    (folder / "new file \u00e9.py").write_text("print(1)\n")
    (folder / "tool.sh").write_text("#!/bin/sh\n")
    (folder / "tool.sh").chmod(0o755)
    (folder / "link").symlink_to("kept.txt")
    (folder / "deep").mkdir()
    (folder / "deep" / "raw").write_bytes(b"\0\1\2")
    (folder / "staged.txt").write_text("staged\n")
    git(folder, "add", "staged.txt")
    (folder / "ignored").mkdir()
    (folder / "ignored" / "data.bin").write_bytes(b"never")


def inspect(folder: Path, store: ObjectStore) -> Repository:
    found = inspect_repository(folder, store.put)
    assert found is not None
    return found


def test_a_clean_repository_has_no_patch(repo, store):
    found = inspect(repo, store)
    assert found.commit == git(repo, "rev-parse", "HEAD").strip()
    assert (found.branch, found.dirty, found.diff) == ("main", False, None)
    assert found.is_complete


def test_commit_and_patch_give_every_file_back(repo, store, tmp_path):
    change_everything(repo)
    before = git(repo, "status", "--porcelain"), sorted((repo / ".git").rglob("*"))
    found = inspect(repo / "deep", store)
    assert before == (
        git(repo, "status", "--porcelain"),
        sorted((repo / ".git").rglob("*")),
    )
    assert found.dirty
    assert found.is_complete
    assert found.diff is not None
    git(tmp_path, "clone", str(repo), "clone")
    git(tmp_path / "clone", "apply", "-", data=store.get(found.diff))
    assert snapshot(tmp_path / "clone") == snapshot(repo)
    assert "ignored/data.bin" not in store.get(found.diff).decode("latin-1")


def test_a_repository_without_a_commit_is_all_patch(tmp_path, store):
    folder = tmp_path / "fresh"
    folder.mkdir()
    git(folder, "init", "-b", "main")
    (folder / "a.txt").write_text("a\n")
    found = inspect(folder, store)
    assert (found.commit, found.branch, found.dirty) == (None, "main", True)
    assert found.diff is not None
    assert b"+a" in store.get(found.diff)
    assert not found.is_complete


def test_files_too_large_for_the_patch_are_named(repo, store, monkeypatch):
    monkeypatch.setattr(repository_module, "MAX_FILE_BYTES", 1000)
    (repo / "weights.bin").write_bytes(bytes(2000))
    (repo / "kept.txt").write_text("small\n")
    found = inspect(repo, store)
    assert found.left_out == ("weights.bin",)
    assert not found.is_complete
    assert found.diff is not None
    assert b"small" in store.get(found.diff)


def test_a_patch_that_is_too_large_leaves_all_out(repo, store, monkeypatch):
    monkeypatch.setattr(repository_module, "MAX_PATCH_BYTES", 50)
    change_everything(repo)
    found = inspect(repo, store)
    assert found.diff is None
    assert "kept.txt" in found.left_out


def test_a_detached_head_has_no_branch(repo, store):
    git(repo, "checkout", "--detach")
    assert inspect(repo, store).branch is None


def test_no_repository_is_null(tmp_path, store, monkeypatch):
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))
    (tmp_path / "plain").mkdir()
    assert inspect_repository(tmp_path / "plain", store.put) is None


def test_code_installed_inside_a_foreign_repository_is_not_its_code(repo, store):
    packages = repo / "ignored" / "site-packages"
    packages.mkdir(parents=True)
    (packages / "code.py").write_text("")
    found = inspect_repository(packages, store.put, holds=packages / "code.py")
    assert found is None
    assert inspect_repository(repo, store.put, holds=repo / "kept.txt") is not None


def test_hooks_and_settings_of_the_repository_run_nothing(repo, store, tmp_path):
    witness = tmp_path / "witness"
    script = repo / ".git" / "run.sh"
    script.write_text(f"#!/bin/sh\ntouch {witness}\n")
    script.chmod(0o755)
    for setting in ("core.fsmonitor", "diff.external"):
        git(repo, "config", setting, str(script))
    change_everything(repo)
    witness.unlink(missing_ok=True)
    inspect(repo, store)
    assert not witness.exists()


def test_packages_are_known_by_their_files(tmp_path):
    copy = tmp_path / "copy"
    for name in ("specs", "ledger"):
        shutil.copytree(ROOT / name, copy / name)
    script = (
        "import sys; from pathlib import Path\n"
        "from ledger.provenance import collect_code\n"
        "print(collect_code(Path(sys.argv[1]), None).packages['ledger'])"
    )

    def digest() -> str:
        return subprocess.run(
            [sys.executable, "-c", script, str(tmp_path)],
            cwd=copy,
            capture_output=True,
            text=True,
            check=True,
            env={**os.environ, "PYTHONPATH": ""},
        ).stdout

    first = digest()
    # Running it compiled it; that is no change.
    assert digest() == first
    (copy / "ledger" / "__init__.py").write_text('"""Changed."""\n')
    assert digest() != first


def test_code_facts_name_the_repository_of_the_code(store, monkeypatch):
    found = collect_code(ROOT, store.put)
    assert set(found.packages) >= {"specs", "ledger", "runtime"}
    if (ROOT / ".git").exists():
        assert found.repository is not None
        assert found.repository.commit == git(ROOT, "rev-parse", "HEAD").strip()
    assert Path(ledger.__file__).parent == ROOT / "ledger"


def test_environment_names_what_is_installed_and_where(monkeypatch):
    monkeypatch.setenv("XLA_FLAGS", "--xla_cpu_max_isa=AVX2")
    monkeypatch.setenv("JAX_SECRET_TOKEN", "hidden")
    monkeypatch.setenv("UNRELATED", "1")
    found = collect_environment()
    assert found.variables["XLA_FLAGS"] == "--xla_cpu_max_isa=AVX2"
    assert "UNRELATED" not in found.variables
    assert "hidden" not in str(found.variables)
    assert found.distributions["pydantic"].version == version("pydantic")
    assert found.distributions["pydantic"].files_sha256 is not None
    assert found.python.startswith("CPython 3.")
    assert found.cpu.num_usable_cores == len(os.sched_getaffinity(0))
    assert found.cpu.features
    assert found == collect_environment()


def test_equal_installations_have_equal_digests():
    record = "a/b.py,sha256=x,1\na/c.py,sha256=y,2\n"
    noise = (
        "a/c.py,sha256=y,2\r\na/b.py,sha256=x,1\n../../bin/a,sha256=z,3\n"
        "a/__pycache__/b.pyc,,\na-1.dist-info/INSTALLER,sha256=w,4\n"
    )
    assert _record_digest(record) == _record_digest(noise)
    assert _record_digest(record) != _record_digest(record.replace("=y", "=v"))
    assert _record_digest(None) is None
    assert _record_digest("a-1.dist-info/RECORD,,\n") is None


def test_an_object_reference_is_the_digest_of_its_bytes(store):
    ref = store.put(b"patch")
    assert ref == ObjectRef(sha256=hashlib.sha256(b"patch").hexdigest(), bytes=5)
