"""A judge as it is asked: its file, its template, and what it is shown of replies.

Replies are text that nobody vouches for. What a judge sees of them is cut at a length,
and holds none of the words with which it states its own verdict.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from evals.rendering import Place, render
from specs.canonical import canonical_json, digest_of
from specs.errors import InputError, SpecError
from specs.judge import REMOVED_MARK, Judge, Verdict
from specs.task_files import load_declared
from specs.yaml_reader import read_text

RULES_VERSION = 1
"""Raised when a judge would be shown something else, or its verdict read otherwise."""

CUT_MARK = "\n[cut: the rest is not shown]"

Position = Literal["first", "second"]
"""Of the two answers that a judge is shown."""

_MAX_ROUNDS = 100


@dataclass(frozen=True, kw_only=True)
class LoadedJudge:
    """A judge file and the text of its template."""

    spec: Judge
    template: str
    template_file: str
    """How messages name the template."""

    @property
    def fingerprint(self) -> str:
        """Digest over all that can change a verdict, but for what is behind a name."""
        template = {"template": self.template, "rules": RULES_VERSION}
        return digest_of(self.spec.identity() | template)


def load_judge(path: Path, *, shown_as: str | None = None) -> LoadedJudge:
    """Load a judge from its file, and try its template.

    Args:
        path: The judge file.
        shown_as: How messages name it; default: as `path` has it.

    Raises:
        InputError: The file or its template is missing.
        SpecError: With every problem of the file, or the template's.
    """
    spec = load_declared(path, Judge, shown_as=shown_as)
    folder = (shown_as or str(path)).rpartition("/")[0]
    template_file = f"{folder}/{spec.template}" if folder else spec.template
    template = read_text(path.parent / spec.template, shown_as=template_file)
    judge = LoadedJudge(spec=spec, template=template, template_file=template_file)
    _check_template(judge)
    return judge


def question_to_judge(
    judge: LoadedJudge, *, instruction: str, answer_a: str, answer_b: str
) -> str:
    """Write what a judge is asked, with the answers as it may see them."""
    texts = (instruction, answer_a, answer_b)
    fields = {
        "instruction": instruction,
        "answer_a": shown_reply(answer_a, judge.spec),
        "answer_b": shown_reply(answer_b, judge.spec),
        # A text can't hold a digest over itself, so no reply can end its own place.
        "fence": hashlib.sha256(canonical_json(texts)).hexdigest()[:16],
    }
    return render(judge.template, fields, place=Place(file=judge.template_file))


def shown_reply(text: str, judge: Judge) -> str:
    """Return a reply as a judge sees it: cut, and without the words of a verdict."""
    if len(text) > judge.reply_characters:
        text = text[: judge.reply_characters] + CUT_MARK
    patterns = [re.escape(one) for one in judge.remove]
    if judge.endpoint is not None:
        patterns += [judge.endpoint.verdict.a, judge.endpoint.verdict.b]
    # Taking one away may bring its outer half together, so it is looked for again.
    for _ in range(_MAX_ROUNDS):
        before = text
        for pattern in patterns:
            text = re.sub(pattern, _mark, text, flags=re.MULTILINE)
        if text == before:
            return text
    raise InputError(
        "a reply holds words of a verdict that can't be taken out",
        fix="correct the patterns of the judge file, so that they match what is said",
    )


def verdict_in(reply: str, verdict: Verdict) -> Position | None:
    """Read which answer a judge prefers; None where it does not say.

    The last statement counts: a judge may weigh both before it decides.

    >>> verdict_in("A: no. Best: B", Verdict(a="Best: A", b="Best: B"))
    'second'
    """
    first, second = (_last_end(one, reply) for one in (verdict.a, verdict.b))
    if first == second:
        return None
    return "first" if first > second else "second"


def _last_end(pattern: str, reply: str) -> int:
    ends = [match.end() for match in re.finditer(pattern, reply, re.MULTILINE)]
    return max(ends, default=-1)


def _mark(_: re.Match[str]) -> str:
    return REMOVED_MARK


def _check_template(judge: LoadedJudge) -> None:
    """Refuse a template that doesn't show the judge what it is to compare."""
    texts = {"instruction": "<one>", "answer_a": "<two>", "answer_b": "<three>"}
    question = question_to_judge(judge, **texts)
    missing = [name for name, text in texts.items() if text not in question]
    if missing:
        raise SpecError(
            f"the template shows no {', no '.join(missing)}",
            file=judge.template_file,
            fix=f"write {{{{ {missing[0]} }}}} where it belongs",
        )
