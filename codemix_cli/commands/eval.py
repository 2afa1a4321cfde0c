"""`codemix eval`: what the weights of a run score."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from codemix_cli.contamination_text import told_contamination
from codemix_cli.delivery_text import deliver_evaluation
from codemix_cli.entry_text import told_scores
from codemix_cli.evaluation_text import told_recorded
from codemix_cli.output import Command, Result
from codemix_cli.progress import judging_listener, listener, open_meter
from codemix_cli.reading import devices_option, entry_argument, workspace_here
from codemix_cli.score_table_text import told_score_table
from codemix_cli.win_rate_text import told_win_rate

if TYPE_CHECKING:
    from collections.abc import Sequence

    from evals.judging.evaluation import Asked
    from evals.judging.panel import Mode
    from specs.evaluation import Evaluation


@click.command(cls=Command, example="codemix eval quickstart --suite world-knowledge")
@entry_argument
@click.option(
    "--suite", "suites", multiple=True, metavar="NAME", help="A suite to ask."
)
@click.option(
    "--task",
    "tasks",
    multiple=True,
    metavar="NAME|FILE",
    help="A task to ask: one that comes with codemix, or a YAML file.",
)
@click.option(
    "--limit",
    type=click.IntRange(min=1),
    metavar="N",
    help="Questions of each task at most.",
)
@click.option(
    "--stage", metavar="NAME", help="Whose end is scored; by default the last."
)
@click.option(
    "--judge",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Who compares the replies that were given to --task; a YAML file.",
)
@click.option(
    "--against",
    metavar="ENTRY",
    help="Whose replies the judge compares with; by default the task's references.",
)
@click.option(
    "--judgements",
    "mode",
    type=click.Choice(["record", "replay", "refresh"]),
    default="record",
    help="Ask the judge what is not recorded, nothing, or everything again.",
)
@click.option(
    "--contamination",
    is_flag=True,
    help="Look for the questions in the training text, and score nothing.",
)
@click.option(
    "--via",
    type=click.Choice(["hf"]),
    help="Write model and questions for stock lm-eval to --to, and score nothing.",
)
@click.option(
    "--to",
    "folder",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Folder to make; with --via.",
)
@devices_option
def command(
    entry: str,
    suites: tuple[str, ...],
    tasks: tuple[str, ...],
    limit: int | None,
    stage: str | None,
    judge: Path | None,
    against: str | None,
    mode: Mode,
    contamination: bool,
    via: str | None,
    folder: Path | None,
    devices: int | None,
) -> Result:
    """Score a checkpoint with suites of one's choice, or again.

    With --suite or --task a checkpoint is asked what is named, and what it scores is
    recorded in the ledger, beside the entry. Without, the checkpoints of all stages'
    ends are scored again with the suites of the spec, and exit code 1 says that a score
    is not the entry's. With --judge the replies that the ledger has of ENTRY are
    compared with those of --against, and the win-rate is recorded. ENTRY may also be a
    spec file, whose latest completed run is meant, or the folder of a checkpoint.
    """
    if sum([judge is not None, contamination, via is not None]) > 1:
        raise click.UsageError("--judge, --contamination and --via exclude each other")
    if judge is None and (against is not None or mode != "record"):
        raise click.UsageError("--against and --judgements need --judge")
    if (via is None) != (folder is None):
        raise click.UsageError("--via and --to need each other")
    if judge is not None:
        if suites or len(tasks) != 1:
            raise click.UsageError("--judge needs one --task, and no --suite")
        from evals.judging.evaluation import Asked

        (task,) = tasks
        asked = Asked(
            a=entry, b=against, task=task, judge=judge, limit=limit, stage=stage
        )
        return _judged(asked, mode, devices)
    items = _items(suites, tasks, limit)
    if contamination or folder is not None:
        if stage is not None or devices is not None:
            raise click.UsageError("no weights are scored: leave --stage and --devices")
        return _bridged(entry, items, folder) if folder else _looked_for(entry, items)
    if not items:
        if limit is not None or stage is not None:
            raise click.UsageError("--limit and --stage need --suite or --task")
        return _again(entry, devices)
    return _asked(entry, items, stage, devices)


def _items(
    suites: tuple[str, ...], tasks: tuple[str, ...], limit: int | None
) -> list[Evaluation]:
    """Return what is asked, as a spec's evals would have it."""
    from specs.evaluation import asked_items

    return asked_items(suites, tasks, limit)


def _asked(
    entry: str, items: Sequence[Evaluation], stage: str | None, devices: int | None
) -> Result:
    """Score a checkpoint, and record what it scores."""
    from evals.evaluator import Evaluator
    from evals.statistics.score_table import table_of
    from ledger.signing import key_of_environment
    from runtime.rescoring import record, rescore

    with open_meter() as meter:
        rescored = rescore(
            entry,
            items,
            workspace=workspace_here(),
            evaluator=Evaluator(),
            stage=stage,
            num_devices=devices,
            progress=listener(meter),
        )
    recorded = record(rescored, key_of_environment())
    deliver_evaluation()
    document = recorded.entry.to_json()
    table = table_of(rescored.scores, rescored.benchmarks.asked).to_json()
    disagreements = [str(one) for one in recorded.disagreements]
    told = told_recorded(recorded.digest, document, recorded.is_new, disagreements)
    return Result(
        data={
            "evaluation": recorded.digest,
            "is_new": recorded.is_new,
            "disagreements": disagreements,
            **{key: document[key] for key in _SHOWN},
            "table": table,
        },
        text=f"{told}\n\n{told_score_table(table)}".rstrip(),
        ok=not disagreements,
        next_command=f"codemix ledger show {document['subject'][:12]}",
    )


_SHOWN = ("subject", "stage", "step", "weights_digest", "suites", "tasks", "scores")


def _looked_for(text: str, items: Sequence[Evaluation]) -> Result:
    """Look for questions in the training text of a run or a spec."""
    from evals.contamination_of import contamination_of

    with open_meter() as meter:
        found = contamination_of(text, items, workspace_here(), listener(meter))
    data = found.to_json()
    return Result(data=data, text=told_contamination(data))


def _bridged(text: str, items: Sequence[Evaluation], folder: Path) -> Result:
    """Write a run and its questions for stock lm-eval."""
    from evals.bridge_run import bridge_run

    with open_meter() as meter:
        bridge = bridge_run(
            text,
            items,
            workspace=workspace_here(),
            folder=folder,
            progress=listener(meter),
        )
    return Result(
        data={"folder": str(folder), "command": list(bridge.command)},
        text=f"wrote {folder}, for an environment with lm_eval[hf]",
        next_command=bridge.shell,
    )


def _judged(asked: Asked, mode: Mode, devices: int | None) -> Result:
    """Let a judge compare replies."""
    from evals.judging.evaluation import judge_replies
    from ledger.signing import key_of_environment

    with open_meter() as meter:
        result, recorded = judge_replies(
            asked,
            workspace=workspace_here(),
            mode=mode,
            num_devices=devices,
            progress=listener(meter),
            judging=judging_listener(meter),
            key=key_of_environment(),
        )
    deliver_evaluation()
    found = result.to_json()
    return Result(
        data={
            "evaluation": recorded.digest,
            "is_new": recorded.is_new,
            "win_rate": {name: found[name] for name in found if name != "questions"},
        },
        text=told_win_rate(found),
        next_command=f"codemix ledger show {recorded.digest[:12]}",
    )


def _again(entry: str, devices: int | None) -> Result:
    """Score the checkpoints of all stages' ends again."""
    from evals.evaluator import Evaluator
    from runtime.results import evaluate

    with open_meter() as meter:
        evaluation = evaluate(
            entry,
            workspace=workspace_here(),
            evaluator=Evaluator(),
            num_devices=devices,
            progress=listener(meter),
        )
    return Result(
        data=evaluation.to_json(),
        text=told_scores(evaluation.to_json()["scores"]),
        ok=evaluation.is_same,
    )
