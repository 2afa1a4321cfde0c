"""Writing a study's report into a file, as whatever its name ends in."""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from evals.study.evidence import Evidence
from evals.study.own_study import study_of_entries
from evals.study.page import report_page
from evals.study.report import report_of
from evals.study.reported import Show, StudyReport, show_nobody
from evals.study.tables import report_csv, report_markdown
from ledger.store import Ledger
from specs.atomic import write_named
from specs.errors import InputError
from specs.names import did_you_mean
from specs.study_file import is_study, load_study
from specs.study_loaded import Study
from specs.workspace import find_workspace

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
PRINT_SECONDS = 120

Write = Callable[[StudyReport, Evidence, Ledger, Show], bytes]


def report(
    operands: Sequence[str],
    *,
    output: Path | None = None,
    baseline: str | None = None,
    show: Show = show_nobody,
) -> StudyReport:
    """Make the report of a study, or of entries, and write it.

    Args:
        operands: A folder, study or spec, whose workspace has the ledger; or entries
            of the ledger of the current folder's workspace.
        output: Its suffix says how: .html, .md, .csv, .json, .pdf; None: written
            nowhere.
        baseline: Name of a point; None: the study's own.
        show: Told how far it is.

    Raises:
        CheckFailed: A document was changed since it was recorded.
        InputError: There is no such workspace, entry, point or suffix, nothing prints a
            page, or the file can't be written.
        SpecError: The study or one of its specs is wrong.
    """
    write = _writer(output) if output is not None else None
    study, ledger, entries = _study(operands)
    if baseline is not None and baseline not in study.points:
        hint = did_you_mean(baseline, list(study.points))
        raise InputError(
            f"there is no point {baseline!r} in the study",
            fix=hint or f"name one of {', '.join(study.points)}",
        )
    found, evidence = report_of(
        study, ledger, entries=entries, baseline=baseline, show=show
    )
    if write is not None and output is not None:
        write_named(output, write(found, evidence, ledger, show))
    return found


def _study(
    operands: Sequence[str],
) -> tuple[Study, Ledger, dict[str, str] | None]:
    path = Path(operands[0])
    if len(operands) == 1 and path.exists() and (is_study(path) or path.is_file()):
        study = load_study(path)
        # That of `codemix study`, wherever one stands.
        return study, _ledger_of(path / "any.yaml"), None
    ledger = _ledger_of(Path("any.yaml"))
    study, entries = study_of_entries(operands, ledger)
    return study, ledger, entries


def _ledger_of(path: Path) -> Ledger:
    return Ledger(find_workspace(path) / ".codemix" / "ledger")


def _html(found: StudyReport, evidence: Evidence, ledger: Ledger, show: Show) -> bytes:
    return report_page(found, evidence, ledger, show).encode()


def _json(found: StudyReport, evidence: Evidence, ledger: Ledger, show: Show) -> bytes:
    text = json.dumps(found.to_json(), indent=1, sort_keys=True, ensure_ascii=False)
    return f"{text}\n".encode()


def _markdown(
    found: StudyReport, evidence: Evidence, ledger: Ledger, show: Show
) -> bytes:
    return report_markdown(found).encode()


def _csv(found: StudyReport, evidence: Evidence, ledger: Ledger, show: Show) -> bytes:
    return report_csv(found).encode()


def _pdf(found: StudyReport, evidence: Evidence, ledger: Ledger, show: Show) -> bytes:
    """Print the page with a browser that is installed.

    Raises:
        InputError: There is none, or it can't print.
    """
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        raise InputError(
            "printing a page takes a browser, and there is none of "
            f"{', '.join(BROWSERS)}",
            fix="install chromium, or write .html and print that",
        )
    with tempfile.TemporaryDirectory() as folder:
        page, printed = Path(folder) / "report.html", Path(folder) / "report.pdf"
        page.write_bytes(_html(found, evidence, ledger, show))
        command = [browser, "--headless", "--no-sandbox", "--disable-gpu"]
        command += [f"--user-data-dir={folder}/profile", "--no-pdf-header-footer"]
        command += [f"--print-to-pdf={printed}", page.as_uri()]
        try:
            subprocess.run(
                command, capture_output=True, timeout=PRINT_SECONDS, check=True
            )
            return printed.read_bytes()
        except (OSError, subprocess.SubprocessError) as error:
            raise InputError(
                f"{Path(browser).name} could not print the page: {error}",
                fix="write .html and print that",
            ) from error


WRITERS: dict[str, Write] = {
    ".html": _html,
    ".md": _markdown,
    ".csv": _csv,
    ".json": _json,
    ".pdf": _pdf,
}


def _writer(output: Path) -> Write:
    if output.suffix.lower() not in WRITERS:
        raise InputError(
            f"nothing says how to write {output.suffix or 'a file without suffix'}",
            file=str(output),
            fix=f"end its name in one of {' '.join(WRITERS)}",
        )
    return WRITERS[output.suffix.lower()]
