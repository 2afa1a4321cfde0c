"""What all tests share: golden files, seeds that replay, strict numerics."""

from __future__ import annotations

import os
import random
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings

# Set before anything imports jax, and inherited by every process that a test starts:
# a silent float64 or a silent broadcast is a changed number.
os.environ.setdefault("JAX_NUMPY_DTYPE_PROMOTION", "strict")
os.environ.setdefault("JAX_NUMPY_RANK_PROMOTION", "raise")
# Tests neither gain from nor leave behind what another run has compiled.
os.environ.setdefault("JAX_ENABLE_COMPILATION_CACHE", "false")

# A busy machine is slow, not wrong: examples have no deadline.
settings.register_profile("codemix", deadline=None)
settings.load_profile("codemix")

ROOT = Path(__file__).resolve().parent.parent
GOLDEN = Path(__file__).resolve().parent / "golden"

HOW_TO_UPDATE = (
    "{path} no longer matches. If you meant to change it, run "
    "`pytest --update-golden`, read the difference, and where it changes numbers say "
    "why in CHANGELOG.md under Numbers. If you did not, this is a bug."
)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--update-golden",
        action="store_true",
        help="rewrite tests/golden/ with what the tests produce now",
    )


@pytest.fixture
def update_golden(request: pytest.FixtureRequest) -> bool:
    """Whether golden files are rewritten instead of compared."""
    return bool(request.config.getoption("--update-golden"))


@pytest.fixture
def golden(update_golden: bool) -> Callable[[str, str], None]:
    """Compare a text with tests/golden/NAME: `golden("plan.json", text)`."""

    def check(name: str, text: str) -> None:
        path = GOLDEN / name
        if update_golden:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
            return
        shown = path.relative_to(ROOT)
        assert path.exists(), f"{shown} is missing: run `pytest --update-golden`"
        assert text == path.read_text("utf-8"), HOW_TO_UPDATE.format(path=shown)

    return check


@pytest.fixture(scope="session")
def finished_run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A workspace with a finished run, and its entry's digest. Work on copies."""
    from run_workspace import codemix, make_run_workspace

    folder = tmp_path_factory.mktemp("finished") / "workspace"
    make_run_workspace(folder)
    code, told, stderr = codemix(folder, "run", "specs/small.yaml")
    assert code == 0, stderr
    return folder, str(told["entry"])


@pytest.fixture(scope="session")
def bundled(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str, Path]:
    """A workspace with a run and a verdict, its digest, its bundle. Work on copies."""
    import bundles

    folder = tmp_path_factory.mktemp("bundle")
    workspace = folder / "workspace"
    digest = bundles.make_recorded(workspace, is_replayed=True)
    bundles.export(workspace, digest, folder / "run.crate.zip")
    return workspace, digest, folder / "run.crate.zip"


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 400 kB; skips the test where none can be mounted."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=400k", "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("a small disk can't be mounted here: that needs root")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


@pytest.fixture
def seed() -> int:
    """A fresh seed, printed on failure; CODEMIX_TEST_SEED=N replays it."""
    given = os.environ.get("CODEMIX_TEST_SEED")
    seed = int(given) if given else random.SystemRandom().randrange(2**32)
    print(f"CODEMIX_TEST_SEED={seed}")  # noqa: T201  shown by pytest on failure only
    return seed


@pytest.fixture
def rng(seed: int) -> np.random.Generator:
    """NumPy's generator from `seed`."""
    return np.random.default_rng(seed)


@pytest.fixture(scope="session")
def endpoint() -> Iterator[str]:
    """Address of an S3 with one bucket, `bucket`."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    main = f"from moto.server import main; main(['-H', '127.0.0.1', '-p', '{port}'])"
    quiet = subprocess.DEVNULL
    server = subprocess.Popen([sys.executable, "-c", main], stdout=quiet, stderr=quiet)
    url = f"http://127.0.0.1:{port}"
    try:
        wait_for(f"{url}/moto-api/", server)
        create = urllib.request.Request(f"{url}/bucket", method="PUT")
        urllib.request.urlopen(create).close()
        yield url
    finally:
        server.kill()
        server.wait()


def wait_for(url: str, server: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            urllib.request.urlopen(url).close()
        except OSError:
            assert server.poll() is None
            assert time.monotonic() < deadline, "the server never came up"
            time.sleep(0.1)
        else:
            return


@pytest.fixture
def cloud(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """A new place in the bucket."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "anybody")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "anything")
    return f"s3://bucket/runs/{time.monotonic_ns()}"
