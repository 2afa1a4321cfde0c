"""Tamper with every row and file of an MLflow store, in one process that loads MLflow.

    python mlflow_tampering.py WORKSPACE all|few

The workspace holds a ledger whose runs are not delivered yet. Prints one JSON object:
how many ways were tried, and which of them were not named.
"""

from __future__ import annotations

import json
import sqlite3
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from tampering import restored

from ledger.deliver import Courier
from ledger.delivery import tracking_uri
from ledger.mirror_check import MirrorCheck, MirrorProblem
from ledger.mlflow_index import MlflowIndex

OURS = ("codemix.", "mlflow.runName", "mlflow.source.git.commit")


class Case(NamedTuple):
    kind: str
    what: str
    tampered: Callable[[], Any]
    """Makes a context in which it is done."""
    run: str
    """Name of the MLflow run, or part of it."""
    place: str
    """What a problem's place must begin with."""


class Database:
    """The SQLite file, changed row by row behind MLflow's back."""

    def __init__(self, path: Path) -> None:
        self._connection = sqlite3.connect(path, timeout=30, isolation_level=None)
        self._connection.row_factory = sqlite3.Row

    def rows(self, table: str) -> list[dict[str, Any]]:
        found = self._connection.execute(f"select rowid as id, * from {table}")
        return [dict(row) for row in found.fetchall()]

    @contextmanager
    def changed(self, table: str, row: dict[str, Any], **values: Any) -> Iterator[None]:
        self._update(table, row["id"], values)
        try:
            yield
        finally:
            self._update(table, row["id"], {name: row[name] for name in values})

    @contextmanager
    def deleted(self, table: str, row: dict[str, Any]) -> Iterator[None]:
        self._connection.execute(f"delete from {table} where rowid = ?", [row["id"]])
        try:
            yield
        finally:
            fields = {name: row[name] for name in row if name != "id"}
            self._insert(table, {"rowid": row["id"], **fields})

    @contextmanager
    def added(self, *rows: tuple[str, dict[str, Any]]) -> Iterator[None]:
        made = []
        for table, row in rows:
            fields = {name: row[name] for name in row if name != "id"}
            made.append((table, self._insert(table, fields)))
        try:
            yield
        finally:
            for table, rowid in made:
                self._connection.execute(
                    f"delete from {table} where rowid = ?", [rowid]
                )

    def _update(self, table: str, rowid: int, values: dict[str, Any]) -> None:
        names = ", ".join(f"{name} = ?" for name in values)
        command = f"update {table} set {names} where rowid = ?"
        self._connection.execute(command, [*values.values(), rowid])

    def _insert(self, table: str, fields: dict[str, Any]) -> int:
        names, marks = ", ".join(fields), ", ".join("?" * len(fields))
        command = f"insert into {table} ({names}) values ({marks})"
        return int(self._connection.execute(command, [*fields.values()]).lastrowid or 0)


def change(database: Database, table: str, row: dict[str, Any], **values: Any) -> Any:
    return lambda: database.changed(table, row, **values)


def metric_cases(database: Database, names: dict[str, str]) -> Iterator[Case]:
    for row in database.rows("metrics"):
        run, place = names[row["run_uuid"]], f"metrics.{row['key']} at step"

        def case(what: str, tampered: Any, run: str = run, place: str = place) -> Case:
            return Case("metrics", what, tampered, run, place)

        if not row["is_nan"]:
            value = row["value"] * 2 + 1 if abs(row["value"]) < 1e300 else 7.0
            yield case("value", change(database, "metrics", row, value=value))
        yield case("nan", change(database, "metrics", row, is_nan=not row["is_nan"]))
        for field in ("timestamp", "step"):
            moved = {field: row[field] + 1}
            yield case(field, change(database, "metrics", row, **moved))
        yield case("delete", lambda row=row: database.deleted("metrics", row))
        again = {**row, "timestamp": row["timestamp"] + 1}
        yield case("repeat", lambda again=again: database.added(("metrics", again)))


def latest_cases(database: Database, names: dict[str, str]) -> Iterator[Case]:
    table = "latest_metrics"
    for row in database.rows(table):
        run, place = names[row["run_uuid"]], f"latest_metrics.{row['key']}"

        def case(what: str, tampered: Any, run: str = run, place: str = place) -> Case:
            return Case(table, what, tampered, run, place)

        yield case("value", change(database, table, row, value=row["value"] + 1))
        yield case("nan", change(database, table, row, is_nan=not row["is_nan"]))
        for field in ("timestamp", "step"):
            moved = {field: row[field] + 1}
            yield case(field, change(database, table, row, **moved))
        yield case("delete", lambda row=row: database.deleted(table, row))
        other = {**row, "key": f"{row['key']}.more"}
        yield case("repeat", lambda other=other: database.added((table, other)))


def text_cases(database: Database, table: str, names: dict[str, str]) -> Iterator[Case]:
    for row in database.rows(table):
        if table == "tags" and not row["key"].startswith(OURS):
            continue
        run, place = names[row["run_uuid"]], f"{table}.{row['key']}"

        def case(what: str, tampered: Any, run: str = run, place: str = place) -> Case:
            return Case(table, what, tampered, run, place)

        yield case("value", change(database, table, row, value=f"{row['value']}x"))
        yield case("empty", change(database, table, row, value=""))
        yield case("name", change(database, table, row, key=f"{row['key']}x"))
        yield case("delete", lambda row=row: database.deleted(table, row))
        if table == "params" or row["key"].startswith("codemix."):
            other = {**row, "key": f"{row['key']}.more"}
            yield case("repeat", lambda other=other: database.added((table, other)))


def run_cases(database: Database, names: dict[str, str]) -> Iterator[Case]:
    values = {
        "name": ("run name", "forged"),
        "status": ("status", "FAILED"),
        "start_time": ("start_time", 1),
        "end_time": ("end_time", 1),
        "lifecycle_stage": ("lifecycle_stage", "deleted"),
        "artifact_uri": ("artifact_uri", "file:///nowhere"),
        "experiment_id": ("experiment", 0),
    }
    for row in database.rows("runs"):
        run = names[row["run_uuid"]]
        for field, (place, value) in values.items():
            tampered = change(database, "runs", row, **{field: value})
            yield Case("runs", field, tampered, run, place)
        lost = lambda row=row: database.deleted("runs", row)  # noqa: E731
        yield Case("runs", "delete", lost, "recording", "run")
        copy = [("runs", {**row, "run_uuid": "f" * 32})]
        copy += [
            ("tags", {**tag, "run_uuid": "f" * 32})
            for tag in database.rows("tags")
            if tag["run_uuid"] == row["run_uuid"]
        ]
        again = lambda copy=copy: database.added(*copy)  # noqa: E731
        yield Case("runs", "repeat", again, "recording", "run")


def experiment_cases(database: Database, names: dict[str, str]) -> Iterator[Case]:
    of_run = {row["experiment_id"]: row["run_uuid"] for row in database.rows("runs")}
    values = {
        "name": ("experiment", "forged"),
        "lifecycle_stage": ("experiment", "deleted"),
        "artifact_location": ("artifact_uri", "file:///nowhere"),
    }
    for row in database.rows("experiments"):
        if row["experiment_id"] not in of_run:
            continue
        run = names[of_run[row["experiment_id"]]]
        for field, (place, value) in values.items():
            tampered = change(database, "experiments", row, **{field: value})
            yield Case("experiments", field, tampered, run, place)
        lost = lambda row=row: database.deleted("experiments", row)  # noqa: E731
        yield Case("experiments", "delete", lost, run, "experiment")


@contextmanager
def rewritten(changes: dict[Path, bytes | None]) -> Iterator[None]:
    with restored(*changes):
        for path, data in changes.items():
            if data is None:
                path.unlink()
            else:
                path.write_bytes(data)
        yield


def file_cases(folder: Path, names: dict[str, str]) -> Iterator[Case]:
    for run_id, run in names.items():
        [root] = folder.glob(f"*/{run_id}/artifacts")
        paths = sorted(path for path in root.rglob("*") if path.is_file())
        for path, following in zip(paths, [*paths[1:], paths[0]], strict=True):
            data, other = path.read_bytes(), following.read_bytes()
            flipped = bytes([data[0] ^ 1]) + data[1:]
            ways: dict[str, tuple[dict[Path, bytes | None], Path]] = {
                "flip": ({path: flipped}, path),
                "cut": ({path: data[:-1]}, path),
                "delete": ({path: None}, path),
                "copy": ({path.with_name(f"{path.name}.more"): data}, path),
                "swap": ({path: other, following: data}, following),
            }
            for what, (changes, named) in ways.items():
                place = f"artifacts.{named.relative_to(root).as_posix()}"
                # Equal files are the same file.
                if what != "swap" or data != other:
                    tampered = lambda changes=changes: rewritten(changes)  # noqa: E731
                    yield Case("artifacts", what, tampered, run, place)


def few(cases: Iterator[Case]) -> Iterator[Case]:
    """One of each kind and way, of evaluations too."""
    seen = set()
    for case in cases:
        is_later = any(word in case.place for word in ("evaluation", "boolq"))
        if (case.kind, case.what, is_later) not in seen:
            seen.add((case.kind, case.what, is_later))
            yield case


def all_cases(database: Database, folder: Path) -> Iterator[Case]:
    names = {row["run_uuid"]: row["name"] for row in database.rows("runs")}
    yield from run_cases(database, names)
    yield from experiment_cases(database, names)
    for table in ("params", "tags"):
        yield from text_cases(database, table, names)
    yield from metric_cases(database, names)
    yield from latest_cases(database, names)
    yield from file_cases(folder, names)


def people_touch(database: Database) -> Iterator[tuple[str, Any]]:
    """What people do in MLflow's own pages, and is no alarm."""
    tag = {"key": "mlflow.note.content", "value": "looks good"}
    mine = {"key": "paper", "value": "table 3"}
    for row in database.rows("runs"):
        run = {"run_uuid": row["run_uuid"]}
        yield "a description", lambda run=run: database.added(("tags", {**tag, **run}))
        yield "a tag", lambda run=run: database.added(("tags", {**mine, **run}))


def main(workspace: Path, which: str) -> None:
    uri = tracking_uri(workspace)
    courier = Courier(workspace, uri)
    reports = courier.sync()
    later = courier.evaluations()
    assert later == (0, None), later
    assert [one["waiting"] for one in reports] == [0] * 3, reports
    index = MlflowIndex(uri, artifacts=workspace / ".codemix" / "mlartifacts")
    database = Database(workspace / ".codemix" / "mlflow.db")

    def problems() -> list[MirrorProblem]:
        check = MirrorCheck(workspace, uri, index)
        check.run(lambda done, total: None)
        return check.problems

    started = time.monotonic()
    cases = all_cases(database, workspace / ".codemix" / "mlartifacts")
    missed, count = [], 0
    before = [str(one) for one in problems()]
    for case in cases if which == "all" else few(cases):
        count += 1
        with case.tampered():
            found = problems()
        if not any(
            case.run in one.run and one.place.startswith(case.place) for one in found
        ):
            missed.append([*case[:2], *case[3:], [str(one) for one in found]])
    alarms = []
    for what, tampered in people_touch(database):
        with tampered():
            alarms += [f"{what}: {one}" for one in problems()]
    print(  # noqa: T201
        json.dumps(
            {
                "before": before,
                "count": count,
                "missed": missed,
                "alarms": alarms,
                "after": [str(one) for one in problems()],
                "seconds": round(time.monotonic() - started, 1),
            }
        )
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
