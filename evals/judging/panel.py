"""Every pair judged in both orders through an endpoint, recorded or replayed.

Which answer stands first moves judges, so each pair is judged twice. Equal requests are
asked once. Results are put together by their places: the order in which answers come
in changes nothing.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass, replace
from typing import Literal, Protocol

from evals.judging.judge import LoadedJudge, Position, question_to_judge, verdict_in
from evals.judging.judgement import Judgement, JudgementStore, chat_request
from evals.judging.replies import Pair
from ledger.facts import JsonObject
from runtime.chat.client import ChatClient, connection_of
from runtime.chat.pace import Stopped
from specs.canonical import digest_of
from specs.errors import CodemixError, InputError, Problem
from specs.judge import Endpoint

Mode = Literal["record", "replay", "refresh"]
"""`record` asks what is not there; `replay` asks nothing, and what is not there is an
error; `refresh` asks everything again."""

URL_VARIABLE = "CODEMIX_JUDGE_URL"
CALLED = "the judge"
_SHOWN_PROBLEMS = 10


@dataclass(frozen=True, kw_only=True)
class JudgingProgress:
    """How far a comparison is."""

    done: int
    """Questions to the judge that are answered; two a pair."""
    total: int
    calls: int
    """Of those done, how many were asked now."""


JudgingListener = Callable[[JudgingProgress], None]
"""Called from the thread that started the comparison."""


def ignore_judging(progress: JudgingProgress) -> None:
    """Listen to nothing."""


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What came of one order of one pair."""

    preferred: Position | None
    """None where the judge never said."""
    judgements: tuple[Judgement, ...]
    """All that it was asked for it: the last one decides."""


class Asks(Protocol):
    """Whoever answers requests: the client."""

    def ask(self, request: JsonObject, /) -> Judgement:
        """Answer a request."""
        ...

    def stop(self) -> None:
        """End what waits."""
        ...


@dataclass(frozen=True, kw_only=True)
class Panel:
    """A judge, and where its judgements are kept."""

    judge: LoadedJudge
    store: JudgementStore
    mode: Mode = "record"
    progress: JudgingListener = ignore_judging
    client: Asks | None = None
    """None: the endpoint, when the first call is due."""

    def judge_all(self, pairs: Sequence[Pair]) -> list[tuple[Asked, Asked]]:
        """Judge every pair with A's answer first, then with B's first.

        Raises:
            InputError: The judge can't be asked, or in replay was never asked this.
                What was answered until then is kept.
        """
        questions = [
            question_to_judge(
                self.judge, instruction=pair.instruction, answer_a=one, answer_b=other
            )
            for pair in pairs
            for one, other in ((pair.a, pair.b), (pair.b, pair.a))
        ]
        names = [
            f"question {pair.id}, {which}'s reply first"
            for pair in pairs
            for which in "AB"
        ]
        unique = dict(reversed(list(zip(questions, names, strict=True))))
        found = self._recorded(unique)
        due = [one for one in dict.fromkeys(questions) if one not in found]
        if due and self.mode == "replay":
            raise _misses([unique[one] for one in due], len(unique))
        if due:
            found |= self._asked_all(due, unique, len(found))
        asked = [found[question] for question in questions]
        return list(zip(asked[::2], asked[1::2], strict=True))

    def _recorded(self, names: Mapping[str, str]) -> dict[str, Asked]:
        """Return of all questions those that need no call."""
        if self.mode == "refresh":
            return {}
        found = {}
        for question in names:
            asked = self._go_on(question, self._kept)
            if asked is not None:
                found[question] = asked
        return found

    def _kept(self, request: JsonObject) -> Judgement | None:
        return self.store.find(digest_of(request))

    def _asked_all(
        self, due: Sequence[str], names: Mapping[str, str], num_recorded: int
    ) -> dict[str, Asked]:
        endpoint = self.judge.spec.endpoint
        assert endpoint is not None
        client = self.client or judge_client(endpoint)
        total = num_recorded + len(due)
        answered: dict[str, Asked] = {}
        with ThreadPoolExecutor(endpoint.concurrency) as pool:
            futures: dict[Future[Asked | None], str] = {
                pool.submit(self._go_on, one, self._answering(client)): one
                for one in due
            }
            try:
                for future in as_completed(futures):
                    asked = future.result()
                    assert asked is not None
                    answered[futures[future]] = asked
                    done = num_recorded + len(answered)
                    told = JudgingProgress(done=done, total=total, calls=len(answered))
                    self.progress(told)
            except (CodemixError, Stopped):
                client.stop()
                pool.shutdown(cancel_futures=True)
                raise _first_failure(futures, names) from None
            except BaseException:
                # Calls on their way end and are kept; no other begins.
                client.stop()
                pool.shutdown(cancel_futures=True)
                raise
        return answered

    def _answering(self, client: Asks) -> Callable[[JsonObject], Judgement]:
        def answer(request: JsonObject) -> Judgement:
            # Of a question asked twice before, only the second call may be missing.
            kept = None if self.mode == "refresh" else self._kept(request)
            if kept is not None:
                return kept
            judgement = client.ask(request)
            self.store.put(judgement)
            return judgement

        return answer

    def _go_on(
        self, question: str, answer: Callable[[JsonObject], Judgement | None]
    ) -> Asked | None:
        """Ask until there is a verdict; None where there is no answer."""
        endpoint = self.judge.spec.endpoint
        assert endpoint is not None
        judgements: list[Judgement] = []
        preferred: Position | None = None
        for attempt in range(endpoint.verdict_attempts):
            judgement = answer(chat_request(self.judge, question, attempt))
            if judgement is None:
                return None
            judgements.append(judgement)
            preferred = verdict_in(judgement.reply, endpoint.verdict)
            if preferred is not None:
                break
        return Asked(preferred=preferred, judgements=tuple(judgements))


def judge_client(endpoint: Endpoint) -> ChatClient:
    """Return what asks a judge where its file or the environment says.

    Raises:
        InputError: The address or the key is missing.
    """
    connection = connection_of(
        endpoint, os.environ, asked=CALLED, url_variable=URL_VARIABLE
    )
    return ChatClient(connection, address=endpoint, asked=CALLED)


def _misses(names: Sequence[str], num_questions: int) -> InputError:
    fix = "ask the judge: record; or take the judge file and replies as they were"
    problems = [
        Problem(what=f"{name}: this was never judged", fix=fix)
        for name in names[:_SHOWN_PROBLEMS]
    ]
    more = f"{len(names)} of {num_questions} requests are not recorded"
    return InputError([*problems, Problem(what=more)])


def _first_failure(
    futures: Mapping[Future[Asked | None], str], names: Mapping[str, str]
) -> InputError:
    """Return why the first of those questions failed, whichever failed first."""
    for future, question in futures.items():
        if future.cancelled():
            continue
        error = future.exception()
        if isinstance(error, CodemixError):
            first = error.problems[0]
            return InputError(replace(first, what=f"{names[question]}: {first.what}"))
    raise AssertionError("something failed")
