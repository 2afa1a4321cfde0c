"""A ledger of ten entries to tamper with, made of made-up runs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ledger_runs import facts, hex_of, play, record

from ledger.annotation import Annotation
from ledger.delivery import Delivery
from ledger.keys import SigningKey, trust
from ledger.recorder import Diverged, Outcome
from ledger.replay import ReplayRecorder
from ledger.run_recorder import RunRecorder
from ledger.signing import sign_entry
from ledger.store import Ledger

NAMES = ("first", "second", "third")


def private_key(name: str) -> SigningKey:
    from cryptography.hazmat.primitives.asymmetric import ed25519

    seed = bytes.fromhex(hex_of("key", name))
    return SigningKey(ed25519.Ed25519PrivateKey.from_private_bytes(seed), name)


def record_run(workspace: Path, name: str, *, deliver: bool) -> str:
    """Record a run; the second one is interrupted, the third one has artifacts."""
    ledger = Ledger.open(workspace)
    folder = workspace / ".codemix" / "runs" / hex_of("identity", name)[:16]
    notes = workspace / "notes.txt"
    notes.write_text(f"notes of {name}\n")

    def recorder() -> RunRecorder:
        delivery = Delivery(workspace, folder) if deliver else None
        return RunRecorder(ledger, folder, delivery=delivery)

    run_facts = {
        "spec": {"name": name, "description": name},
        "identity": hex_of("identity", name),
        "raw_spec": f"name: {name}\n",
    }

    def change(kind: str, step: int, value: object) -> object:
        return record(step, name) if kind == "step" else value

    if name == "second":
        cut = Outcome(status="interrupted", reason="stopped")
        play(recorder(), stop=6, change=change, outcome=cut, run_facts=told(run_facts))
        last = recorder()
        resumed = {**run_facts, "resumed_from": 4}
        play(last, start=4, change=change, run_facts=told(resumed))
    else:
        last = recorder()
        play(last, change=change, run_facts=told(run_facts), outcome=None)
        last.artifact("notes.txt", notes)
        last.finish(Outcome(status="completed"))
    notes.unlink()
    assert last.digest is not None
    return last.digest


def told(changes: dict[str, object]) -> object:
    return facts.__wrapped__(**changes)


def make_ledger(workspace: Path, *, deliver: bool = False) -> Ledger:
    """Make ten entries: four of runs, two replays, two annotations, two signatures."""
    workspace.mkdir(parents=True, exist_ok=True)
    key = private_key("ana")
    trust(workspace, str(key.public), None)
    digests = [record_run(workspace, name, deliver=deliver) for name in NAMES]
    ledger = Ledger.open(workspace)
    for number, salt in enumerate(("first", "other")):
        replay = ReplayRecorder(ledger.find(digests[0]), ledger)

        def change(kind: str, step: int, value: object, salt: str = salt) -> object:
            return record(step, salt) if kind == "step" else value

        with suppress(Diverged):
            play(replay, change=change, outcome=None)
        verdict = replay.finish(Outcome(status="completed"))
        assert verdict.grade == ("EXACT", "DIVERGED")[number]
    for digest, note in zip(digests, ("good", "bad"), strict=False):
        name = ledger.find(digest).entry.name
        ledger.append(Annotation(name=name, subject=digest, note=note, unix_ms=7))
    sign_entry(ledger, digests[0], key)
    sign_entry(ledger, ledger.log()[4].digest, key)
    assert len(ledger.log()) == 10
    return ledger


@contextmanager
def restored(*paths: Path) -> Iterator[None]:
    """Put files back to what they were, also those that were not there."""
    before = {path: path.read_bytes() if path.exists() else None for path in paths}
    try:
        yield
    finally:
        for path, data in before.items():
            if data is None:
                path.unlink(missing_ok=True)
            else:
                path.write_bytes(data)
