"""`codemix validate`: is it a spec, and a sound one?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from codemix_cli.output import Command, Result, table
from codemix_cli.reading import check_evals, check_scores, read_studies
from codemix_cli.wording import counted, scaled

if TYPE_CHECKING:
    from specs.study_loaded import Study


@click.command(cls=Command, example="codemix validate specs/quickstart.yaml")
@click.argument("spec", nargs=-1, required=True, type=click.Path(path_type=Path))
def command(spec: tuple[Path, ...]) -> Result:
    """Check spec files, every problem in one pass.

    Reads the specs and what they extend, and nothing else: no data, no network. Each
    problem is told with its line, its rule and its fix. A folder is a study: its specs
    and its study.yaml are checked together.
    """
    from specs.resolve import plan_experiment

    read, studies = read_studies(spec)
    check_evals(read)
    check_scores(studies)
    found = [
        {
            "file": str(path),
            "name": experiment.name,
            "digest": (plan := plan_experiment(experiment)).spec_digest,
            "stages": len(plan.stages),
            "steps": plan.num_steps,
            "tokens": plan.num_tokens,
        }
        for path, experiment in read
    ]
    told = [_study(one) for one in studies]
    rows = [_row(one, alone=len(found) == len(spec)) for one in found]
    return Result(
        data={"experiments": found, **({"studies": told} if told else {})},
        text="\n".join([table(rows), *(_told_study(one) for one in told)]),
        next_command=f"codemix plan {spec[0]}" if len(spec) == 1 else None,
    )


def _row(found: dict[str, Any], *, alone: bool) -> list[str]:
    # A file with a matrix has a line per variation, told apart by name.
    return [
        found["file"] if alone else f"{found['file']}  {found['name']}",
        "ok",
        f"digest {found['digest'][:8]}",
        f"{counted(found['stages'], 'stage')}, {counted(found['steps'], 'step')}, "
        f"{scaled(found['tokens'])} tokens",
    ]


def _study(study: Study) -> dict[str, Any]:
    return {
        "file": str(study.path),
        "name": study.name,
        "experiments": len(study.experiments),
        "points": len(study.points),
        "scores": len(study.scores),
        "expected": len(study.expected),
        "claims": len(study.claims),
    }


def _told_study(told: dict[str, Any]) -> str:
    return (
        f"study {told['name']}  ok  {counted(told['experiments'], 'experiment')}, "
        f"{counted(told['points'], 'point')}, {counted(told['scores'], 'score')}, "
        f"{counted(told['expected'], 'published result')}, "
        f"{counted(told['claims'], 'claim')}"
    )
