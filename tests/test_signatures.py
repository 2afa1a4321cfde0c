"""Keys stay with their owners, and others can read what was signed with them."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from ledger_runs import play
from tampering import private_key

from codemix_cli.main import cli
from ledger.attestation import Attestation
from ledger.dsse import decode_envelope, pre_authentication
from ledger.keys import load_key, make_key, parse_public, read_trusted, trust
from ledger.replay import ReplayRecorder
from ledger.run_recorder import RunRecorder
from ledger.signing import sign_entry, signatures_of
from ledger.statement import PROVENANCE, STATEMENT, TEST_RESULT
from ledger.store import Ledger
from ledger.verify import verify
from specs.errors import InputError


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a user's private keys."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.delenv("CODEMIX_SIGN_KEY", raising=False)
    return tmp_path / "config" / "codemix" / "keys"


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A workspace with one run, and the current folder."""
    folder = tmp_path / "workspace"
    (folder / ".dvc").mkdir(parents=True)
    monkeypatch.chdir(folder)
    record_run(folder)
    return folder


def record_run(workspace: Path) -> RunRecorder:
    folder = workspace / ".codemix" / "runs" / "a"
    recorder = RunRecorder(Ledger.open(workspace), folder)
    play(recorder)
    return recorder


def codemix(*arguments: str) -> Result:
    return CliRunner().invoke(cli, list(arguments), prog_name="codemix")


def test_a_private_key_is_for_its_owner_alone_and_never_written_over(home):
    made = make_key("ana")
    assert made.path == home / "ana.pem"
    assert stat.S_IMODE(made.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(home.stat().st_mode) == 0o700
    data = made.path.read_bytes()
    again = make_key("ana")
    assert (again.public, again.is_new, made.is_new) == (made.public, False, True)
    assert made.path.read_bytes() == data


def test_a_key_that_others_may_read_is_refused(home):
    made = make_key("ana")
    made.path.chmod(0o640)
    with pytest.raises(InputError, match="chmod 600"):
        load_key(made.path)


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"", "not an Ed25519 private key"),
        (b"-----BEGIN PRIVATE KEY-----\nAAAA\n", "not an Ed25519 private key"),
        (None, "can't read the private key"),
    ],
)
def test_what_is_no_key_is_an_answer_not_a_traceback(tmp_path, data, what):
    path = tmp_path / "key.pem"
    if data is not None:
        path.write_bytes(data)
        path.chmod(0o600)
    with pytest.raises(InputError, match=what):
        load_key(path)


def test_the_only_key_is_the_one_to_sign_with(workspace):
    none = codemix("ledger", "sign", "made-up")
    assert none.exit_code == 4
    assert "you have no private key" in none.stderr
    for name in ("ana", "ben"):
        make_key(name)
    several = codemix("ledger", "sign", "made-up")
    assert several.exit_code == 4
    assert "several private keys: ana, ben" in several.stderr


def test_trusted_keys_are_lines_of_a_file(tmp_path):
    keys = [private_key(name).public for name in ("ana", "ben")]
    for key in keys:
        assert trust(tmp_path, str(key), None) == key
        trust(tmp_path, str(key), None)
    lines = (tmp_path / "ledger-keys.txt").read_text().splitlines()
    assert lines[-2:] == [str(key) for key in keys]
    assert read_trusted(tmp_path) == {key.keyid: key for key in keys}
    assert read_trusted(tmp_path / "elsewhere") == {}


def test_a_key_is_trusted_from_a_file_and_by_another_name(tmp_path):
    key = private_key("ana").public
    (tmp_path / "ana.txt").write_text(key.raw.hex() + "\n")
    added = trust(tmp_path, str(tmp_path / "ana.txt"), "Ana")
    assert (added.raw, added.name) == (key.raw, "Ana")


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("", "not a line of a public key"),
        ("abc ana", "not a line of a public key"),
        (f"{'0' * 64} {'1' * 64} ana", "the key id is not that of the key"),
        ("1" * 64, "the key has no name"),
        (f"{'1' * 64} a/b", "not a name for a key"),
        (f"{'1' * 64} ana and ben", "not a line of a public key"),
    ],
)
def test_a_line_that_is_no_key_says_why(line, what):
    with pytest.raises(InputError, match=what):
        parse_public(line)


def test_every_bad_line_of_the_trusted_keys_is_named(tmp_path):
    good = private_key("ana").public
    (tmp_path / "ledger-keys.txt").write_text(f"# ours\nbad\n{good}\n\nworse\n")
    with pytest.raises(InputError) as raised:
        read_trusted(tmp_path)
    assert [problem.line for problem in raised.value.problems] == [2, 5]


def test_a_named_key_signs_every_run_and_replay(workspace, monkeypatch):
    made = make_key("ana")
    monkeypatch.setenv("CODEMIX_SIGN_KEY", str(made.path))
    trust(workspace, str(made.public), None)
    folder = workspace / ".codemix" / "runs" / "b"
    ledger = Ledger.open(workspace)
    recorder = RunRecorder(ledger, folder)
    play(recorder)
    replay = ReplayRecorder(ledger.find(str(recorder.digest)), ledger)
    play(replay)
    for digest in (recorder.digest, replay.digest):
        [signature] = signatures_of(ledger, str(digest), read_trusted(workspace))
        assert (signature.who, signature.problem) == ("ana", None)
    kinds = [line.kind for line in ledger.log()]
    assert kinds == ["run", "run", "attestation", "replay", "attestation"]


def test_a_key_that_cannot_be_read_is_told_before_training(workspace, monkeypatch):
    monkeypatch.setenv("CODEMIX_SIGN_KEY", str(workspace / "gone.pem"))
    with pytest.raises(InputError, match="can't read the private key"):
        RunRecorder(Ledger.open(workspace), workspace / ".codemix" / "runs" / "b")


def envelope_of(ledger: Ledger, digest: str) -> bytes:
    document = ledger.read(digest)
    assert isinstance(document, Attestation)
    return ledger.objects.get(document.envelope)


def test_a_run_is_stated_as_slsa_provenance(workspace):
    ledger = Ledger.open(workspace)
    stored = ledger.find("made-up")
    signed = sign_entry(ledger, stored.digest, private_key("ana"))
    statement = json.loads(decode_envelope(envelope_of(ledger, signed.digest)).payload)
    assert statement["_type"] == STATEMENT
    assert statement["predicateType"] == PROVENANCE
    assert statement["subject"][0]["digest"] == {"sha256": stored.digest}
    assert statement["subject"][1]["annotations"] == {"lines": 1}
    # SLSA allows no other fields: tools that are strict refuse the whole.
    assert set(statement["predicate"]) == {"buildDefinition", "runDetails"}
    build = statement["predicate"]["buildDefinition"]
    assert build["externalParameters"]["spec"]["sha256"] == stored.entry.spec_digest
    inputs = [one["name"] for one in build["resolvedDependencies"]]
    assert inputs == ["lock", "sources.text:data/a.txt", "code/runtime"]


def test_a_verdict_is_stated_as_a_test_result(workspace):
    ledger = Ledger.open(workspace)
    replay = ReplayRecorder(ledger.find("made-up"), ledger)
    play(replay)
    signed = sign_entry(ledger, str(replay.digest), private_key("ana"))
    statement = json.loads(decode_envelope(envelope_of(ledger, signed.digest)).payload)
    assert statement["predicateType"] == TEST_RESULT
    assert statement["predicate"]["result"] == "PASSED"


def test_what_is_signed_is_what_the_specification_of_dsse_says():
    # The test vector of the specification.
    assert pre_authentication("http://example.com/HelloWorld", b"hello world") == (
        b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    )


def test_another_library_reads_and_verifies_our_envelope(workspace):
    dsse = pytest.importorskip("securesystemslib.dsse")
    signer = pytest.importorskip("securesystemslib.signer")
    ledger, key = Ledger.open(workspace), private_key("ana")
    signed = sign_entry(ledger, ledger.find("made-up").digest, key)
    envelope = dsse.Envelope.from_dict(json.loads(envelope_of(ledger, signed.digest)))
    public = key.public

    def key_of(raw: bytes) -> object:
        value = {"public": raw.hex()}
        return signer.SSlibKey(public.keyid, "ed25519", "ed25519", value)

    assert list(envelope.verify([key_of(public.raw)], 1)) == [public.keyid]
    other = private_key("mallory").public.raw
    exceptions = pytest.importorskip("securesystemslib.exceptions")
    with pytest.raises(exceptions.VerificationError):
        envelope.verify([key_of(other)], 1)


def test_from_a_key_to_a_verified_signature_on_the_command_line(workspace, home):
    shown = codemix("ledger", "key", "--name", "ana")
    line = shown.stdout.splitlines()[0]
    assert line == str(load_key(home / "ana.pem").public)
    assert "PRIVATE" not in shown.output
    assert codemix("ledger", "sign", "made-up").exit_code == 0
    refused = codemix("ledger", "verify")
    assert refused.exit_code == 1
    assert "signed by a key that is not trusted" in refused.stderr
    assert codemix("ledger", "key", "--trust", line).exit_code == 0
    shown = codemix("ledger", "verify", "--require-signatures")
    assert shown.exit_code == 0
    assert "1 signature," in shown.stdout
    told = json.loads(codemix("ledger", "verify", "--json").stdout)
    assert told["signatures"] == 1


def test_a_signature_is_not_signed(workspace):
    ledger = Ledger.open(workspace)
    key = private_key("ana")
    signed = sign_entry(ledger, ledger.find("made-up").digest, key)
    with pytest.raises(InputError, match="is a signature itself"):
        sign_entry(ledger, signed.digest, key)


def test_no_byte_of_a_private_key_gets_into_the_workspace(workspace, monkeypatch):
    made = make_key("ana")
    monkeypatch.setenv("CODEMIX_SIGN_KEY", str(made.path))
    recorder = RunRecorder(Ledger.open(workspace), workspace / ".codemix/runs/b")
    play(recorder)
    secret = b"".join(made.path.read_bytes().splitlines()[1:-1])[-32:]
    files = [path for path in workspace.rglob("*") if path.is_file()]
    assert len(files) > 10
    assert not [path for path in files if secret in path.read_bytes()]


def test_the_head_is_published_and_proven_on_the_command_line(workspace):
    head = codemix("ledger", "head").stdout.strip()
    (workspace / "head.txt").write_text(head + "\n")
    record_another(workspace)
    for since in (head, "head.txt"):
        assert codemix("ledger", "verify", "--since", since).exit_code == 0
    other = codemix("ledger", "verify", "--since", f"1-{'0' * 64}")
    assert other.exit_code == 1
    assert "is not that of the first 1 lines" in other.stderr
    longer = codemix("ledger", "verify", "--since", f"9-{'0' * 64}", "--json")
    [problem] = json.loads(longer.stdout)["problems"]
    assert problem["kind"] == "head"
    assert codemix("ledger", "verify", "--since", "nonsense").exit_code == 4
    told = json.loads(codemix("ledger", "head", "--json").stdout)
    assert told["lines"] == 2


def record_another(workspace: Path) -> None:
    play(RunRecorder(Ledger.open(workspace), workspace / ".codemix" / "runs" / "b"))
    assert verify(Ledger.open(workspace)).problems == ()
