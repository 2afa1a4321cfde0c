"""The compile cache makes starts faster, and nothing else of them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import pytest

from runtime import compile_cache
from runtime.compile_cache import VARIABLE, cache_root, drop_damaged, seal
from runtime.compile_cache import use_compile_cache as use

TESTS = Path(__file__).resolve().parent


def step(cache: Path) -> dict[str, Any]:
    """Train in a process of its own, with a cache."""
    environment = {
        **os.environ,
        VARIABLE: str(cache),
        "JAX_ENABLE_COMPILATION_CACHE": "true",
        "PYTHONPATH": str(TESTS.parent),
    }
    done = subprocess.run(
        [sys.executable, "cached_step.py"],
        cwd=TESTS,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    facts: dict[str, Any] = json.loads(done.stdout)
    return facts


@pytest.fixture
def enabled(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    """This process may use a cache, in the folder that is returned."""
    monkeypatch.setenv(VARIABLE, str(tmp_path / "cache"))
    before = jax.config.jax_compilation_cache_dir
    jax.config.update("jax_enable_compilation_cache", True)
    yield tmp_path / "cache"
    jax.config.update("jax_enable_compilation_cache", False)
    jax.config.update("jax_compilation_cache_dir", before)


def entries(folder: Path, *sizes: int) -> list[Path]:
    """Write entries as jax does, oldest first."""
    paths = [folder / f"jit_{index}-cache" for index in range(len(sizes))]
    for age, (path, size) in enumerate(zip(paths, sizes, strict=True)):
        path.write_bytes(os.urandom(size))
        os.utime(path, (1000 + age, 1000 + age))
    return paths


def test_a_warm_start_compiles_nothing_and_trains_to_the_same_bits(
    tmp_path: Path,
) -> None:
    cold, warm = step(tmp_path), step(tmp_path)
    assert cold["hits"] == warm["written"] == 0
    assert warm["hits"] == cold["written"] > 0
    assert warm["digest"] == cold["digest"]
    assert cold["told"] == warm["told"] == []
    folder = Path(cold["folder"])
    assert folder.parent == tmp_path
    assert len(list(folder.glob("*-sha256"))) == cold["written"]


@pytest.mark.slow
def test_a_damaged_program_is_compiled_again_to_the_same_bits(tmp_path: Path) -> None:
    cold = step(tmp_path)
    (entry,) = Path(cold["folder"]).glob("jit__step-*-cache")
    data = bytearray(entry.read_bytes())
    data[len(data) // 2] ^= 1
    entry.write_bytes(data)
    again = step(tmp_path)
    assert again["digest"] == cold["digest"]
    assert (again["hits"], again["written"]) == (cold["written"] - 1, 1)
    assert again["told"] == [
        "damaged programs in the compile cache: 1; they are made anew"
    ]


def test_an_entry_that_is_not_as_its_digest_says_is_dropped(tmp_path: Path) -> None:
    whole, flipped, cut = entries(tmp_path, 100, 100, 100)
    seal(tmp_path)
    flipped.write_bytes(bytes([flipped.read_bytes()[0] ^ 1]) + flipped.read_bytes()[1:])
    cut.write_bytes(cut.read_bytes()[:50])
    assert drop_damaged(tmp_path) == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "jit_0-cache",
        "jit_0-sha256",
    ]
    assert whole.exists()


def test_an_entry_that_was_never_finished_is_dropped_without_a_word(
    tmp_path: Path,
) -> None:
    (entry,) = entries(tmp_path, 100)
    assert drop_damaged(tmp_path) == 0
    assert not entry.exists()


def test_a_full_cache_loses_its_oldest_programs(
    enabled: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = use()
    assert folder is not None
    oldest, older, newest = entries(folder, 100, 100, 100)
    seal(folder)
    monkeypatch.setattr(compile_cache, "MOST_BYTES", 250)
    assert use() == folder
    assert [path.exists() for path in (oldest, older, newest)] == [False, True, True]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PJRT_NPROC", "3"),
        ("XLA_FLAGS", "--xla_cpu_max_isa=SSE4_2"),
        ("XLA_FLAGS", "--xla_force_host_platform_device_count=64"),
    ],
)
def test_what_decides_bits_decides_the_folder(
    enabled: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    before = use()
    assert before is not None
    assert before.parent == enabled
    assert use() == before
    monkeypatch.setenv(name, value)
    assert use() != before


def test_a_cache_that_can_not_be_written_is_told_once_and_not_used(
    enabled: Path,
) -> None:
    enabled.write_text("a file where the folder should be")
    told: list[str] = []
    assert use(told.append) is None
    assert jax.config.jax_compilation_cache_dir is None
    (line,) = told
    assert line.startswith(f"no compile cache in {enabled}: ")


def test_a_cache_that_can_not_be_checked_is_not_used(
    enabled: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, "gs://bucket/cache")
    told: list[str] = []
    assert use(told.append) is None
    assert len(told) == 1


def test_a_cache_that_was_turned_off_is_not_made(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv(VARIABLE, str(tmp_path / "cache"))
    assert use() is None
    assert not (tmp_path / "cache").exists()


def test_the_cache_is_the_users_unless_jax_is_told_otherwise(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_root() == tmp_path / "codemix" / "compiled"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert cache_root() == tmp_path / "home" / ".cache" / "codemix" / "compiled"
    monkeypatch.setenv(VARIABLE, str(tmp_path / "other"))
    assert cache_root() == tmp_path / "other"
