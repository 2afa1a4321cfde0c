"""Rules across a study: every name that it speaks of must be there.

First what the file alone can tell, then what takes its experiments to tell.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from specs.claims import Margin, Order, cells_of, parse_claim
from specs.experiment import Experiment, resolved_digest
from specs.names import did_you_mean
from specs.rules import Broken, Place
from specs.search_rules import search_rules
from specs.study import Claim, StudyFile, StudyScore


def repeats_of(name: str, experiments: Sequence[Experiment]) -> list[Experiment]:
    """Return the experiments that a point means: one, or one for each seed.

    Args:
        name: As the point has it.
        experiments: Of the study.
    """
    return [one for one in experiments if name in (one.name, name_without_seed(one))]


def name_without_seed(experiment: Experiment) -> str:
    """Return the name of an experiment without the seed that a matrix has put in it."""
    seed = f"-seed-{experiment.seed}"
    before, found, after = experiment.name.partition(seed)
    is_whole = found and not after[:1].isdigit()
    return f"{before}{after}" if is_whole else experiment.name


def digest_without_seed(experiment: Experiment) -> str:
    """Digest of all that repeats of an experiment have in common."""
    return resolved_digest({**experiment.to_json(), "seed": 0})


def own_rules(study: StudyFile) -> list[Broken]:
    """Return the broken rules that the file alone can tell.

    Points and scores that are left out are made of the experiments, so names of them
    are looked at by `rules_with`.
    """
    return [*_repeated_claims(study), *_scores(study)]


def rules_with(
    study: StudyFile, experiments: Sequence[Experiment], written: StudyFile
) -> list[Broken]:
    """Return the broken rules about names, and about what is named.

    Args:
        study: With its points and scores made, where the file leaves them out.
        experiments: Of the study.
        written: As the file has it.
    """
    return [
        *_points(written, experiments),
        *_named_points(study),
        *_named_scores(study),
        *_claims(study),
        *_costs(written, experiments),
        *search_rules(study.search, _judged(study), experiments),
    ]


def _repeated_claims(study: StudyFile) -> Iterator[Broken]:
    first: dict[str, int] = {}
    for index, claim in enumerate(study.claims):
        if claim.name in first:
            what = f"must be unique, {claim.name!r} is also claims.{first[claim.name]}"
            yield Broken(what, "rename one of them", ("claims", index, "name"))
        first.setdefault(claim.name, index)


def _scores(study: StudyFile) -> Iterator[Broken]:
    for name, score in study.scores.items():
        for index, part in enumerate(score.mean):
            place: Place = ("scores", name, "mean", index)
            other = study.scores.get(part)
            if other is None:
                fix = did_you_mean(part, [one for one in study.scores if one != name])
                yield Broken(f"unknown score {part!r}", fix, place)
            elif other.mean:
                what = f"{part!r} is a mean itself"
                yield Broken(what, "name the scores that it is made of", place)
            elif (other.unit, other.better) != (score.unit, score.better):
                what = f"{part!r} is in {_told(other)}, this mean in {_told(score)}"
                yield Broken(what, "average scores of one kind", place)


def _judged(study: StudyFile) -> dict[str, bool]:
    """Tell of each score whether it takes a judge, itself or a part of it."""
    alone = {name: one.win_rate is not None for name, one in study.scores.items()}
    return {
        name: alone[name] or any(alone.get(part, False) for part in one.mean)
        for name, one in study.scores.items()
    }


def _told(score: StudyScore) -> str:
    unit = "percent" if score.unit == "percent" else "plain numbers"
    return f"{unit}, {score.better} is better"


def _points(study: StudyFile, experiments: Sequence[Experiment]) -> Iterator[Broken]:
    known = [one.name for one in experiments]
    known += [name_without_seed(one) for one in experiments]
    for name, point in study.points.items():
        place: Place = ("points", name)
        repeats = repeats_of(point.experiment, experiments)
        if not repeats:
            fix = did_you_mean(point.experiment, sorted(set(known)))
            what = f"unknown experiment {point.experiment!r}"
            yield Broken(what, fix, (*place, "experiment"))
            continue
        if len({digest_without_seed(one) for one in repeats}) > 1:
            names = " and ".join(one.name for one in repeats[:2])
            what = f"means {names}, which differ in more than their seed"
            yield Broken(what, "write one's whole name", (*place, "experiment"))
        stages = [stage.name for stage in repeats[0].stages]
        if point.after is not None and point.after not in stages:
            what = f"{repeats[0].name} has no stage {point.after!r}"
            yield Broken(what, did_you_mean(point.after, stages), (*place, "after"))


def _named_points(study: StudyFile) -> Iterator[Broken]:
    named: list[tuple[Place, str]] = []
    if study.baseline is not None:
        named.append((("baseline",), study.baseline))
    for name, score in study.scores.items():
        if score.against is not None:
            named.append((("scores", name, "against"), score.against))
    for index, row in enumerate(study.expected):
        named.append((("expected", index, "point"), row.point))
    for index, figure in enumerate(study.figures):
        for number, point in enumerate(figure.points):
            named.append((("figures", index, "points", number), point))
    for place, point in named:
        if point not in study.points:
            fix = did_you_mean(point, list(study.points))
            yield Broken(f"unknown point {point!r}", fix, place)


def _named_scores(study: StudyFile) -> Iterator[Broken]:
    named: list[tuple[Place, str]] = []
    for index, row in enumerate(study.expected):
        for score in row.values:
            named.append((("expected", index, "values", score), score))
    for index, figure in enumerate(study.figures):
        for number, score in enumerate(figure.scores):
            named.append((("figures", index, "scores", number), score))
    for place, score in named:
        if score not in study.scores:
            fix = did_you_mean(score, list(study.scores))
            yield Broken(f"unknown score {score!r}", fix, place)


def _claims(study: StudyFile) -> Iterator[Broken]:
    for index, claim in enumerate(study.claims):
        place: Place = ("claims", index, "says")
        cells = cells_of(claim.parsed)
        unknown = False
        for point in dict.fromkeys(cell.point for cell in cells):
            if point not in study.points:
                unknown = True
                fix = did_you_mean(point, list(study.points))
                yield Broken(f"unknown point {point!r}", fix, place)
        for score in dict.fromkeys(cell.score for cell in cells):
            if score not in study.scores:
                unknown = True
                fix = did_you_mean(score, list(study.scores))
                yield Broken(f"unknown score {score!r}", fix, place)
        if not unknown:
            yield from _units(study, claim, place)


def _units(study: StudyFile, claim: Claim, place: Place) -> Iterator[Broken]:
    """Yield claims that compare what has different units, or margins in another."""
    parsed = parse_claim(claim.says)
    scores = {cell.score: study.scores[cell.score] for cell in cells_of(parsed)}
    units = {score.unit for score in scores.values()}
    if len(units) > 1:
        what = f"compares scores of different units: {' and '.join(sorted(scores))}"
        yield Broken(what, "compare scores of one unit", place)
        return
    margin: Margin | None = None
    if parsed.kind != "best":
        margin = parsed.margin if isinstance(parsed, Order) else parsed.within
    is_percent = units == {"percent"}
    if margin is not None and margin.kind == "points" and not is_percent:
        what = f"has a margin in points, and {_listed(scores)} is not in percent"
        yield Broken(what, f"write {margin.amount:g} alone, or a relative one", place)
    if margin is not None and margin.kind == "plain" and is_percent:
        what = f"has a margin without a unit, and {_listed(scores)} is in percent"
        yield Broken(what, f"write {margin.amount:g} points", place)


def _listed(scores: dict[str, StudyScore]) -> str:
    return next(iter(scores))


def _costs(study: StudyFile, experiments: Sequence[Experiment]) -> Iterator[Broken]:
    if study.cost is None:
        return
    presets = {one.model.preset for one in experiments if one.model.preset}
    for name in study.cost.mfu:
        if name != "other" and name not in presets:
            fix = did_you_mean(name, sorted({*presets, "other"}))
            what = f"no experiment has the preset {name!r}"
            yield Broken(what, fix, ("cost", "mfu", name))
    for index, stated in enumerate(study.cost.stated):
        if stated.model not in presets:
            fix = did_you_mean(stated.model, sorted(presets))
            what = f"no experiment has the preset {stated.model!r}"
            yield Broken(what, fix, ("cost", "stated", index, "model"))
