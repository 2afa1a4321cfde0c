"""Deliver runs of every kind in one process, and compare: nothing may be an alarm.

    python mlflow_no_alarm.py WORKSPACE

Prints one JSON object: name of a state -> problems, notes and number of runs.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

from evaluated import evaluate
from ledger_runs import STAGES, hex_of, play, record, tensors
from tampering import told

from ledger.deliver import Courier
from ledger.delivery import tracking_uri
from ledger.mirror_check import MirrorCheck
from ledger.mlflow_index import MlflowIndex
from ledger.recorder import COMPLETED, Outcome
from ledger.run_recorder import RunRecorder
from ledger.store import Ledger


def recorder(workspace: Path, name: str) -> RunRecorder:
    folder = workspace / ".codemix" / "runs" / name
    return RunRecorder(Ledger.open(workspace), folder)


def named(name: str, **changes: object) -> object:
    spec = {"name": name}
    return told({"spec": spec, "identity": hex_of("identity", name), **changes})


def record_all(workspace: Path) -> None:
    """A plain run, one that takes a stage over, an inexact one and two killed ones."""
    plain = recorder(workspace, "plain")
    play(plain, run_facts=named("plain"))
    reusing = recorder(workspace, "reusing")
    reusing.begin(named("reusing"))
    identity = hex_of("identity", "balanced")
    reusing.stage_reused("balanced", str(plain.digest), identity=identity)
    [(name, start, stop)] = STAGES[1:]
    reusing.stage_begin(name, start)
    for step in range(start, stop):
        reusing.step(record(step))
    reusing.checkpoint(stop, tensors(stop))
    reusing.scores(stop, "heldout", {"text.bits_per_byte": 0.5})
    ends = {"identity": hex_of("other", name), "weights_digest": hex_of("reused")}
    reusing.stage_end(name, stop, **ends)
    reusing.finish(COMPLETED)
    fast = {"determinism": "fast"}
    first = recorder(workspace, "fast")
    cut = Outcome(status="interrupted", reason="stopped")
    play(first, stop=7, outcome=cut, run_facts=named("fast", **fast))

    def otherwise(kind: str, step: int, value: object) -> object:
        return record(step, "again") if kind == "step" else value

    again = named("fast", **fast, resumed_from=4)
    play(recorder(workspace, "fast"), start=4, change=otherwise, run_facts=again)
    killed = recorder(workspace, "killed")
    play(killed, stop=7, outcome=None, run_facts=named("killed"))
    killed.close()
    first = recorder(workspace, "late")
    play(first, stop=6, outcome=cut, run_facts=named("late"))
    second = recorder(workspace, "late")
    late = named("late", resumed_from=4)
    play(second, start=4, stop=9, outcome=None, run_facts=late)
    second.close()
    ledger = Ledger.open(workspace)
    for digest, name in (
        (str(plain.digest), "plain"),
        (ledger.log()[-1].digest, "late"),
    ):
        step = 12 if name == "plain" else 4
        evaluate(ledger, digest, name=name, step=step)
        evaluate(ledger, digest, name=name, step=step, said="b")


def found(workspace: Path) -> dict[str, object]:
    uri = tracking_uri(workspace)
    index = MlflowIndex(uri, artifacts=workspace / ".codemix" / "mlartifacts")
    check = MirrorCheck(workspace, uri, index)
    check.run(lambda done, total: None)
    problems = [str(one) for one in check.problems]
    return {"problems": problems, "notes": check.notes, "runs": check.num_runs}


def deliver(workspace: Path) -> None:
    courier = Courier(workspace, tracking_uri(workspace))
    courier.sync()
    assert courier.evaluations() == (0, None)


def main(workspace: Path) -> None:
    here, moved, rebuilt = (workspace / name for name in ("here", "moved", "rebuilt"))
    record_all(here)
    states = {"before": found(here)}
    deliver(here)
    states["delivered"] = found(here)
    evaluate(Ledger.open(here), Ledger.open(here).log()[0].digest, name="plain", step=8)
    states["evaluated"] = found(here)
    deliver(here)
    states["delivered again"] = found(here)
    shutil.copytree(here / ".codemix/ledger", rebuilt / ".codemix/ledger")
    courier = Courier(rebuilt, tracking_uri(rebuilt))
    courier.rebuild()
    assert courier.evaluations(anew=True) == (0, None)
    states["rebuilt"] = found(rebuilt)
    shutil.copytree(here / ".codemix/runs", rebuilt / ".codemix/runs")
    for path in rebuilt.glob(".codemix/runs/*/delivery*"):
        path.unlink()
    deliver(rebuilt)
    states["rebuilt and delivered"] = found(rebuilt)
    here.rename(moved)
    states["moved"] = found(moved)
    print(json.dumps(states))  # noqa: T201


if __name__ == "__main__":
    main(Path(sys.argv[1]))
