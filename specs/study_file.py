"""Loading studies: a `study.yaml` with the specs beside it, or specs alone.

Every problem of every file is collected before any is raised.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from pydantic import ValidationError

from specs.document import Document
from specs.errors import CodemixError, InputError, Problem, SpecError
from specs.experiment import Experiment
from specs.loading import load_experiments
from specs.problems import in_order, problems_of
from specs.rules import BrokenRules
from specs.study import StudyFile
from specs.study_checks import check_pattern
from specs.study_defaults import completed
from specs.study_loaded import Members, Study
from specs.study_rules import own_rules, rules_with
from specs.yaml_reader import MAX_BYTES, read_document

STUDY_FILE = "study.yaml"

_KEY = "study"
"""At the top of a study's own file, and of no spec."""

_DVC_FILE = "dvc.yaml"
"""Stages of DVC's, such as `codemix study --dvc` writes."""

_OTHER_LANGUAGES = re.compile(rb"(?m)^codemix_(task|suite|judge):")


def is_study(path: Path) -> bool:
    """Tell a folder, or a study's own file, from a spec.

    A file that can't be read is none, so that whoever reads it as a spec says why.
    """
    if path.is_dir():
        return True
    try:
        # Reading a spec takes a while, and most don't hold the word.
        if path.stat().st_size > MAX_BYTES or _KEY.encode() not in path.read_bytes():
            return False
        return _KEY in read_document(path).value
    except (CodemixError, OSError, ValueError):
        return False


def load_study(path: Path) -> Study:
    """Load a study.

    Args:
        path: A folder with a `study.yaml`, or of specs alone; or a `study.yaml`; or one
            spec, with a `matrix` or without.

    Raises:
        InputError: There is no such file, or no spec in the folder.
        SpecError: With every problem of the study and of its specs.
    """
    own_file = path / STUDY_FILE if path.is_dir() else path
    if own_file.exists() and (path.is_dir() or is_study(path)):
        return _load_with_file(path, own_file)
    if path.is_dir():
        files = _specs_of_folder(path, own_file)
        if not files:
            fix = f"put specs into it, or a {STUDY_FILE} that names them"
            raise InputError("holds no specs", file=str(path), fix=fix)
        members, problems = _load_members(files)
        if problems:
            raise SpecError(problems)
    else:
        members = tuple((path, one) for one in load_experiments(path))
    name = re.sub(r"[^a-z0-9._-]+", "-", path.resolve().stem.lower()).strip("._-")
    file = StudyFile(study=1, name=name or "study")
    return Study(
        path=path,
        file=completed(file, [one for _, one in members]),
        experiments=members,
    )


def _load_with_file(path: Path, own_file: Path) -> Study:
    document = read_document(own_file)
    problems: list[Problem] = []
    written = None
    try:
        written = StudyFile.model_validate(document.value)
    except ValidationError as error:
        problems += problems_of(error, document, StudyFile)
    files, wrong = _listed(document, own_file)
    members, problems_of_members = _load_members(files)
    problems += [*wrong, *problems_of_members]
    if written is not None:
        experiments = [one for _, one in members]
        rules = own_rules(written)
        study = completed(written, experiments)
        if not problems_of_members and not wrong:
            # Names of experiments that could not be read would all be unknown.
            rules += rules_with(study, experiments, written)
        problems += [document.problem(one.place, one.what, one.fix) for one in rules]
    if written is None or problems:
        raise SpecError(in_order(problems))
    return Study(path=path, file=study, experiments=members)


def _specs_of_folder(folder: Path, own_file: Path) -> list[Path]:
    return [
        one
        for one in sorted(folder.glob("*.yaml"))
        if one not in (own_file, folder / _DVC_FILE)
        and not one.name.startswith(("_", "."))
        and _may_be_spec(one)
    ]


def _may_be_spec(path: Path) -> bool:
    """Tell a spec, or what can't be read, from a task, a suite or a judge."""
    try:
        return _OTHER_LANGUAGES.search(path.read_bytes()[:MAX_BYTES]) is None
    except OSError:
        return True


def _listed(document: Document, own_file: Path) -> tuple[list[Path], list[Problem]]:
    """Return the specs of a study in order, and the names that name none."""
    listed = document.value.get("experiments")
    if not isinstance(listed, list) or not listed:
        files = _specs_of_folder(own_file.parent, own_file)
        fix = "put specs beside it, or name some: experiments: [FILE, ...]"
        none = document.problem(("experiments",), "there are no specs beside it", fix)
        return files, [] if files else [none]
    files = []
    problems = []
    for index, pattern in enumerate(listed):
        if not isinstance(pattern, str) or not _is_pattern(pattern):
            continue  # What is wrong with it is said by the types.
        found = sorted(own_file.parent.glob(pattern))
        found = [one for one in found if one.is_file() and one != own_file]
        if not found:
            what = f"no file beside this one is called {pattern!r}"
            fix = "check the name; it counts from the folder of this file"
            problems.append(document.problem(("experiments", index), what, fix))
        files += [one for one in found if one not in files]
    return files, problems


def _is_pattern(text: str) -> bool:
    try:
        check_pattern(text)
    except BrokenRules:
        return False
    return True


def _load_members(files: Sequence[Path]) -> tuple[Members, list[Problem]]:
    members: list[tuple[Path, Experiment]] = []
    problems: list[Problem] = []
    first: dict[str, Path] = {}
    for file in files:
        try:
            found = load_experiments(file)
        except CodemixError as error:
            problems += error.problems
            continue
        for experiment in found:
            name = experiment.name
            if name in first:
                what = f"{name!r} is also the name of an experiment in {first[name]}"
                fix = "give one of them another name"
                problems.append(
                    Problem(file=str(file), path="name", what=what, fix=fix)
                )
            first.setdefault(name, file)
            members.append((file, experiment))
    # What a common parent has wrong is told once.
    return tuple(members), list(dict.fromkeys(problems))
