"""A run leaves in one file and arrives elsewhere as it was."""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import bundles
import ledger_runs
import pytest
from data_workspace import git, isolate, make_workspace

from ledger.annotation import Annotation
from ledger.bundle import open_bundle
from ledger.bundle_import import import_bundle
from ledger.bundle_layout import is_known, why_unsafe
from ledger.store import Ledger
from specs.canonical import canonical_json
from specs.errors import CheckFailed, InputError
from specs.loading import load_experiment, load_lock


def test_what_is_exported_arrives_byte_for_byte(
    bundled: tuple[Path, str, Path], tmp_path: Path
) -> None:
    workspace, digest, bundle = bundled
    done = bundles.take(bundle, tmp_path / "study")
    assert done.entry == digest
    source = workspace / ".codemix" / "ledger"
    target = tmp_path / "study" / ".codemix" / "ledger"
    for path in source.rglob("*"):
        if path.is_file() and path.name not in ("log.jsonl", ".lock"):
            assert (target / path.relative_to(source)).read_bytes() == path.read_bytes()
    kinds = [line.kind for line in Ledger.open(tmp_path / "study").log()]
    assert kinds == ["run", "replay", "annotation"]
    assert bundles.findings(tmp_path / "study") == ()


def test_same_entry_gives_the_same_bytes(
    bundled: tuple[Path, str, Path], tmp_path: Path
) -> None:
    workspace, digest, bundle = bundled
    copy = shutil.copytree(workspace, tmp_path / "elsewhere", symlinks=True)
    git(copy, "gc", "--quiet")
    (copy / "later.txt").write_text("nothing of the entry's")
    os.utime(copy / "notes.txt", (1, 1))
    again = bundles.export(copy, digest, tmp_path / "again.crate.zip")
    assert again.path.read_bytes() == bundle.read_bytes()
    assert again.sha256 == ledger_sha256(bundle)


def ledger_sha256(path: Path) -> str:
    done = subprocess.run(["sha256sum", path], capture_output=True, check=True)
    return done.stdout.decode().split()[0]


def test_later_runs_do_not_change_the_bundle(
    bundled: tuple[Path, str, Path], tmp_path: Path
) -> None:
    workspace, digest, bundle = bundled
    copy = shutil.copytree(workspace, tmp_path / "elsewhere", symlinks=True)
    other = bundles.record(copy, name="other")
    again = bundles.export(copy, digest, tmp_path / "again.crate.zip")
    assert again.path.read_bytes() == bundle.read_bytes()
    bundles.export(copy, other, tmp_path / "other.crate.zip")
    names = set(bundles.read(tmp_path / "other.crate.zip"))
    assert f"ledger/entries/{other}.json" in names
    assert f"ledger/entries/{digest}.json" not in names


def test_bundle_has_what_was_said_of_a_run_and_what_it_was_made_from(
    bundled: tuple[Path, str, Path], tmp_path: Path
) -> None:
    workspace = shutil.copytree(bundled[0], tmp_path / "elsewhere", symlinks=True)
    ledger = Ledger.open(workspace)
    first = json.loads(ledger.read_bytes(bundled[1]))
    for stage in first["stages"]:
        stage["reused_from"] = bundled[1]
    # No codemix would write such a field: what it names is needed all the same.
    second = ledger.append_bytes(canonical_json({**first, "recording": "x"}))
    note = Annotation(name="made-up", subject=second, note="look", unix_ms=1)
    noted = ledger.append(note).digest
    bundles.record(workspace, name="unrelated")
    exported = bundles.export(workspace, second, tmp_path / "two.crate.zip")
    assert exported.num_documents == 4
    names = set(bundles.read(exported.path))
    for digest in (bundled[1], second, noted):
        assert f"ledger/entries/{digest}.json" in names
    opened, digest = open_bundle(exported.path, new_folder(tmp_path / "opened"))
    assert digest == second
    assert [line.kind for line in opened.log()] == [
        "run",
        "replay",
        "run",
        "annotation",
    ]


def new_folder(path: Path) -> Path:
    path.mkdir()
    return path


def test_spec_lock_pins_and_requirements_are_for_plain_tools(
    bundled: tuple[Path, str, Path], tmp_path: Path
) -> None:
    with zipfile.ZipFile(bundled[2]) as opened:
        opened.extractall(tmp_path)
    experiment = load_experiment(tmp_path / "spec" / "made-up.yaml")
    assert experiment.name == "made-up"
    assert load_lock(tmp_path / "spec" / "made-up.lock") == bundles.lock()
    requirements = (tmp_path / "environment" / "requirements.txt").read_text()
    assert requirements == "jaxlib==0.10.2\nrich==14.0\n"
    pins = {
        path.relative_to(tmp_path / "pins").as_posix()
        for path in (tmp_path / "pins").rglob("*.dvc")
    }
    assert pins == {"data/a.txt.dvc", "data/docs.dvc", "data/web/b.jsonl.dvc"}
    digest = bundles.md5(bundles.DATA).removeprefix("md5:")
    assert (tmp_path / "pins" / "data" / "a.txt.dvc").read_text() == (
        f'outs:\n- md5: {digest}\n  size: 9\n  hash: md5\n  path: "a.txt"\n'
    )
    assert (tmp_path / "pins" / "data" / "web" / "b.jsonl.dvc").read_text() == (
        'frozen: true\ndeps:\n- path: "https://example.org/b.jsonl"\nouts:\n'
        f'- md5: {digest}\n  size: 9\n  hash: md5\n  path: "b.jsonl"\n'
    )
    readme = (tmp_path / "README.txt").read_text()
    assert bundled[1] in readme


def test_code_of_a_bundle_is_a_clone_and_a_patch(
    bundled: tuple[Path, str, Path], tmp_path: Path
) -> None:
    with zipfile.ZipFile(bundled[2]) as opened:
        opened.extractall(tmp_path / "bundle")
    bundle = tmp_path / "bundle" / "code" / "workspace.bundle"
    git(tmp_path, "clone", "--quiet", "--branch", "codemix", str(bundle), "code")
    clone = tmp_path / "code"
    assert git(clone, "rev-parse", "HEAD") == git(bundled[0], "rev-parse", "HEAD")
    entry = Ledger.open(bundled[0]).read(bundled[1])
    diff = entry.code.workspace.diff.sha256
    git(clone, "apply", f"{tmp_path}/bundle/ledger/objects/{diff[:2]}/{diff}")
    assert (clone / "new.txt").read_text() == "not in git yet\n"


def test_verify_py_finds_what_was_changed_with_python_alone(
    bundled: tuple[Path, str, Path], tmp_path: Path
) -> None:
    with zipfile.ZipFile(bundled[2]) as opened:
        opened.extractall(tmp_path / "bundle")
    script = tmp_path / "bundle" / "verify.py"

    def verify(*arguments: str) -> tuple[int, str]:
        command = [sys.executable, "-I", "-S", "-B", str(script), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        return done.returncode, done.stdout

    expected = (
        0,
        f"ok  {len(bundles.read(bundled[2]))} files\nentry sha256:{bundled[1]}\n",
    )
    assert verify() == expected
    assert verify(str(bundled[2])) == expected
    entry = tmp_path / "bundle" / "ledger" / "entries" / f"{bundled[1]}.json"
    entry.write_bytes(entry.read_bytes().replace(b"made-up", b"made-it"))
    code, told = verify()
    assert code == 1
    assert "is not what is described" in told
    assert "is not what its name says" in told


def test_import_puts_spec_lock_and_pins_where_nothing_is(
    bundled: tuple[Path, str, Path], tmp_path: Path
) -> None:
    study = tmp_path / "study"
    done = bundles.take(bundled[2], study)
    assert done.kept == ()
    assert set(done.written) == {
        ".git/",
        ".dvc/",
        ".gitignore",
        "made-up.yaml",
        "made-up.lock",
        "data/a.txt.dvc",
        "data/docs.dvc",
        "data/web/b.jsonl.dvc",
    }
    assert (study / "data" / ".gitignore").read_text() == "/a.txt\n/docs\n"
    again = bundles.take(bundled[2], study)
    assert (again.num_new, again.written, again.kept) == (0, (), ())
    assert len(Ledger.open(study).log()) == 3


def test_import_keeps_what_is_there_and_says_so(
    bundled: tuple[Path, str, Path], tmp_path: Path
) -> None:
    study = tmp_path / "study"
    (study / "data").mkdir(parents=True)
    (study / "made-up.yaml").write_text("codemix: 1\n")
    pin = "outs:\n- md5: 00000000000000000000000000000000\n  hash: md5\n  path: a.txt\n"
    (study / "data" / "a.txt.dvc").write_text(pin)
    done = bundles.take(bundled[2], study)
    assert set(done.kept) == {"made-up.yaml", "data/a.txt.dvc"}
    assert (study / "made-up.yaml").read_text() == "codemix: 1\n"
    assert (study / "data" / "a.txt.dvc").read_text() == pin


def test_import_never_writes_through_a_link_out_of_the_workspace(
    bundled: tuple[Path, str, Path], tmp_path: Path
) -> None:
    (tmp_path / "study").mkdir()
    (tmp_path / "outside").mkdir()
    (tmp_path / "study" / "data").symlink_to(tmp_path / "outside")
    done = bundles.take(bundled[2], tmp_path / "study")
    assert "data/a.txt.dvc" in done.kept
    assert list((tmp_path / "outside").iterdir()) == []


def test_import_that_dies_anywhere_leaves_a_whole_ledger_and_can_be_repeated(
    bundled: tuple[Path, str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = make_workspace(tmp_path / "study")
    real, calls, num_deaths = os.replace, 0, 0
    for limit in range(0, 60, 3):
        calls = 0

        def replace(*names: Path, limit: int = limit) -> None:
            nonlocal calls
            calls += 1
            if calls > limit:
                raise KeyboardInterrupt
            real(*names)

        with monkeypatch.context() as patch:
            patch.setattr(os, "replace", replace)
            try:
                bundles.take(bundled[2], study)
            except KeyboardInterrupt:
                num_deaths += 1
            else:
                break
        assert bundles.findings(study) == ()
        bundles.take(bundled[2], study)
        kinds = [line.kind for line in Ledger.open(study).log()]
        assert kinds == ["run", "replay", "annotation"]
        for name in (".codemix", "data"):
            shutil.rmtree(study / name)
    assert num_deaths > 5


@pytest.mark.parametrize("step", ["export", "import"])
def test_full_disk_leaves_nothing_behind(
    bundled: tuple[Path, str, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    step: str,
) -> None:
    make_workspace(tmp_path / "study")

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    output, study = tmp_path / "run.crate.zip", tmp_path / "study"
    work = {
        "export": lambda: bundles.export(bundled[0], bundled[1], output),
        "import": lambda: bundles.take(bundled[2], study),
    }[step]
    with pytest.raises(InputError, match="No space left"):
        work()
    assert not output.exists()
    left = [path.name for path in tmp_path.iterdir() if path.name != "study"]
    assert left == []
    assert bundles.findings(study) == ()


def test_export_writes_over_nothing(
    bundled: tuple[Path, str, Path], tmp_path: Path
) -> None:
    target = tmp_path / "run.crate.zip"
    target.write_text("mine")
    with pytest.raises(InputError, match="is there already"):
        bundles.export(bundled[0], bundled[1], target)
    assert target.read_text() == "mine"


def test_export_of_a_verdict_names_its_run(
    bundled: tuple[Path, str, Path], tmp_path: Path
) -> None:
    verdict = Ledger.open(bundled[0]).log()[1].digest
    with pytest.raises(InputError, match="is a replay, not a run"):
        bundles.export(bundled[0], verdict, tmp_path / "run.crate.zip")


def test_changed_object_is_not_exported(
    bundled: tuple[Path, str, Path], tmp_path: Path
) -> None:
    workspace = shutil.copytree(bundled[0], tmp_path / "elsewhere", symlinks=True)
    entry = Ledger.open(workspace).read(bundled[1])
    path = Ledger.open(workspace).objects.path(entry.stages[0].metrics.sha256)
    path.write_bytes(path.read_bytes() + b"\n")
    with pytest.raises(CheckFailed, match="its bytes are not its name"):
        bundles.export(workspace, bundled[1], tmp_path / "run.crate.zip")
    assert not (tmp_path / "run.crate.zip").exists()


def make_checkpoint(workspace: Path, step: int) -> None:
    entry = Ledger.open(workspace).read(Ledger.open(workspace).log()[0].digest)
    runs = workspace / ".codemix" / "runs" / entry.identity[:16]
    folder = runs / "checkpoints" / f"{step:08d}"
    folder.mkdir(parents=True)
    (folder / "00-000000-000064.rows").write_bytes(bytes(range(256)) * 9)
    tensors = {
        name: facts.to_json() for name, facts in ledger_runs.tensors(step).items()
    }
    manifest = {"manifest": {"tensors": tensors}}
    (folder / "manifest.json").write_text(json.dumps(manifest))


def test_checkpoints_travel_and_must_be_the_entrys(
    bundled: tuple[Path, str, Path], tmp_path: Path
) -> None:
    workspace = shutil.copytree(bundled[0], tmp_path / "elsewhere", symlinks=True)
    with pytest.raises(InputError, match="no checkpoint of this run is here"):
        bundles.export(workspace, bundled[1], tmp_path / "a.zip", checkpoints="all")
    make_checkpoint(workspace, 4)
    make_checkpoint(workspace, 8)
    last = bundles.export(workspace, bundled[1], tmp_path / "b.zip", checkpoints="last")
    bundles.export(workspace, bundled[1], tmp_path / "c.zip", checkpoints="all")
    assert bundles.take(last.path, tmp_path / "study").checkpoints == (8,)
    done = bundles.take(tmp_path / "c.zip", tmp_path / "study")
    assert done.checkpoints == (4, 8)
    runs = Path(".codemix") / "runs"
    for path in (workspace / runs).glob("*/checkpoints/*/*"):
        copy = tmp_path / "study" / path.relative_to(workspace)
        assert copy.read_bytes() == path.read_bytes()

    path = next((workspace / runs).glob("*/checkpoints/00000008/manifest.json"))
    path.write_text(path.read_text().replace("float32", "float64"))
    with pytest.raises(CheckFailed, match="after step 8 is not the entry's"):
        bundles.export(workspace, bundled[1], tmp_path / "d.zip", checkpoints="all")


def test_secrets_stay_at_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    workspace = tmp_path / "workspace"
    token = "hf_" + "x" * 34
    monkeypatch.setenv("HF_TOKEN", token)
    digest = bundles.make_recorded(workspace)
    (workspace / ".dvc" / "config").write_text(
        "[core]\n    remote = depot\n"
        "['remote \"depot\"']\n"
        "    url = https://ana:hunter22@example.org/depot?sig=abcdef\n"
        "    password = swordfish9\n"
        "['remote \"near\"']\n    url = ../../near\n"
    )
    local = workspace / ".dvc" / "config.local"
    local.write_text(
        local.read_text() + "['remote \"depot\"']\n    secret_access_key = verysecret\n"
    )
    bundle = bundles.export(workspace, digest, tmp_path / "run.crate.zip").path
    data = bundle.read_bytes()
    for secret in ("hunter22", "ana:", "swordfish9", "verysecret", "abcdef", token):
        assert secret.encode() not in data
    remotes = json.loads(bundles.read(bundle)["pins/remotes.json"])
    assert remotes == {
        "default": "depot",
        "remotes": {
            "depot": {"url": "https://example.org/depot"},
            "near": {"url": str(tmp_path / "near")},
        },
    }


def test_secret_in_the_history_costs_the_git_bundle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = "hf_" + "x" * 34
    digest = bundles.make_recorded(tmp_path / "workspace")
    monkeypatch.setenv("SOME_TOKEN", "what we want to know")
    exported = bundles.export(tmp_path / "workspace", digest, tmp_path / "a.zip")
    assert exported.code["workspace"].path is None
    assert "SOME_TOKEN" in exported.code["workspace"].why_not
    assert "code/workspace.bundle" not in bundles.read(exported.path)
    assert b"SOME_TOKEN" in bundles.read(exported.path)["README.txt"]
    assert token not in str(exported)


def test_secret_in_the_patch_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    digest = bundles.make_recorded(tmp_path / "workspace")
    (tmp_path / "workspace" / "x").write_text("a")
    monkeypatch.setenv("SOME_TOKEN", "+not in git yet\n")
    with pytest.raises(CheckFailed, match="SOME_TOKEN") as caught:
        bundles.export(tmp_path / "workspace", digest, tmp_path / "a.zip")
    assert "not in git yet" not in str(caught.value)
    assert not (tmp_path / "a.zip").exists()


def test_import_adds_the_remote_where_there_is_none(tmp_path: Path) -> None:
    workspace = tmp_path / "workspace"
    digest = bundles.make_recorded(workspace)
    depot = tmp_path / "depot"
    (workspace / ".dvc" / "config").write_text(
        f"[core]\n    remote = depot\n['remote \"depot\"']\n    url = {depot}\n"
    )
    bundle = bundles.export(workspace, digest, tmp_path / "run.crate.zip").path
    assert bundles.take(bundle, tmp_path / "study").remote == str(depot)
    assert str(depot) in (tmp_path / "study" / ".dvc" / "config").read_text()
    assert bundles.take(bundle, tmp_path / "study").remote is None
    isolate(tmp_path / "study")


def test_import_of_no_file_says_so(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        import_bundle(tmp_path / "x.zip", workspace=tmp_path)


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("/etc/passwd", "is absolute"),
        ("../up", "leads out of the bundle"),
        ("pins/../../up.dvc", "leads out of the bundle"),
        ("pins\\..\\up.dvc", "has a backslash"),
        ("C:/up.dvc", "names a drive"),
        ("pins//a.dvc", "is not a plain path"),
        ("pins/./a.dvc", "is not a plain path"),
        ("pins/a\n.dvc", "has a control character"),
    ],
)
def test_name_that_leads_elsewhere_is_told(name: str, what: str) -> None:
    assert why_unsafe(name) == what


@pytest.mark.parametrize("name", ["setup.py", "ledger/log.jsonl", "spec/A.yaml", "x"])
def test_unknown_name_does_not_belong(name: str) -> None:
    assert not is_known(name)
