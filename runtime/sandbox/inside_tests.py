"""The tests' process: asks the candidate for results, and alone says how it went.

It reads the limits and the candidate, forks, and only then reads the tests and a
secret word. The child is the candidate's. Nothing of this process can be read or traced
by it, and what it answers is rebuilt as plain data. So no code of the candidate ever
runs here, and whoever reports that the tests came to their end knows the word.

Runs inside the sandbox, on the standard library alone.
"""

from __future__ import annotations

import _ctypes
import builtins
import os
import resource
import sys

from runtime.sandbox.inside_candidate import execute, receive, send, serve
from runtime.sandbox.inside_changes import change
from runtime.sandbox.inside_values import decode, encode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any, NoReturn

_PR_SET_DUMPABLE = 4
_SIGXCPU = 24  # importing `signal` takes milliseconds
READY = b"ready\n"
SET_UP_FAILED = 3
"""Exit code when a limit can't be set."""


class CandidateGone(BaseException):
    """Its process ended, or sent what is no answer; no test may swallow that."""


class CandidateLeft(BaseException):
    """It raised what ends an interpreter, such as SystemExit."""


class CantTravel(BaseException):
    """The tests hand over what is no data and not the candidate's, as a function."""


class Remote:
    """Stands for something that only the candidate's process has.

    It equals nothing but itself, whatever the candidate defines.
    """

    __slots__ = ("_remote_candidate", "_remote_number", "_remote_type")

    def __init__(self, candidate: Candidate, number: int, kind: str) -> None:
        object.__setattr__(self, "_remote_candidate", candidate)
        object.__setattr__(self, "_remote_number", number)
        object.__setattr__(self, "_remote_type", kind)

    def __call__(self, *given: Any, **named: Any) -> Any:  # noqa: D102
        return self._remote_candidate.ask("call", self, *given, **named)

    def __getattr__(self, name: str) -> Any:
        return self._remote_candidate.ask("getattr", self, name)

    def __setattr__(self, name: str, value: Any) -> None:
        self._remote_candidate.ask("setattr", self, name, value)

    def __iter__(self) -> Iterator[Any]:
        found: Iterator[Any] = self._remote_candidate.ask("iter", self)
        return found

    def __next__(self) -> Any:
        return self._remote_candidate.ask("next", self)

    def __len__(self) -> int:
        return int(self._remote_candidate.ask("len", self))

    def __getitem__(self, key: Any) -> Any:
        return self._remote_candidate.ask("getitem", self, key)

    def __setitem__(self, key: Any, value: Any) -> None:
        self._remote_candidate.ask("setitem", self, key, value)

    def __contains__(self, item: Any) -> bool:
        return bool(self._remote_candidate.ask("contains", self, item))

    def __bool__(self) -> bool:
        return True

    def __str__(self) -> str:
        return str(self._remote_candidate.ask("str", self))

    def __repr__(self) -> str:
        return str(self._remote_candidate.ask("repr", self))


class Candidate:
    """The other process."""

    def __init__(self, process: int, requests: int, answers: int) -> None:
        self.process = process
        self.gone: str | None = None
        self.status: int | None = None
        self.cpu_seconds = 0.0
        self.kinds: set[str] = set()
        self.last_raised = ""
        self._pipes = requests, answers
        self._remotes: dict[int, Remote] = {}

    def is_out_of_time(self, cpu_seconds: int) -> bool:
        """Whether its process was ended for the processor time that it took."""
        if self.status is None or not os.WIFSIGNALED(self.status):
            return False
        ended_by = os.WTERMSIG(self.status)
        return ended_by == _SIGXCPU or self.cpu_seconds >= cpu_seconds

    def ask(self, what: str, *given: Any, **named: Any) -> Any:
        """Have something done there, and return its result as data."""
        state, result, changed = self._exchange(
            encode((what, given, named), _number_of_remote)
        )
        if state == "raised":
            raise self._exception(result, changed)
        if state == "missing":
            return Missing
        if changed is not None:
            change(given, changed[0])
            change(named, changed[1])
        if isinstance(result, Remote) and what != "name":
            self.kinds.add(object.__getattribute__(result, "_remote_type"))
        return result

    def _exchange(self, request: bytes) -> tuple[str, Any, Any]:
        if self.gone:
            raise CandidateGone(self.gone)
        requests, answers = self._pipes
        try:
            send(requests, request)
            answer = receive(answers)
            if not answer:
                raise EOFError
            state, result, changed = decode(answer, self._remote)
        except (EOFError, BrokenPipeError):
            self._lost("ended")
        except (ValueError, TypeError, RecursionError, MemoryError):
            self._lost("sent what is no answer")
        return state, result, changed

    def _lost(self, how: str) -> NoReturn:
        self.gone = how
        if how == "ended":
            _, self.status, used = os.wait4(self.process, 0)
            self.cpu_seconds = used.ru_utime + used.ru_stime
        raise CandidateGone(how)

    def _remote(self, number: int, kind: str) -> Remote:
        if number not in self._remotes:
            self._remotes[number] = Remote(self, number, kind)
        return self._remotes[number]

    def _exception(self, kinds: Any, text: Any) -> BaseException:
        if not isinstance(kinds, list) or not isinstance(text, str):
            self._lost("sent what is no answer")
        self.last_raised = str(kinds[0])[:100] if kinds else ""
        for name in kinds:
            kind = getattr(builtins, name, None) if isinstance(name, str) else None
            if isinstance(kind, type) and issubclass(kind, Exception):
                try:
                    return kind(text)
                except TypeError:  # such as UnicodeDecodeError, which wants more
                    continue
        return CandidateLeft(self.last_raised)


class Missing:
    """A name that the candidate does not define."""


def _number_of_remote(value: Any) -> int:
    if not isinstance(value, Remote):
        raise CantTravel(type(value).__name__)
    return int(object.__getattribute__(value, "_remote_number"))


def main(job: bytes) -> NoReturn:
    """Run one program and report.

    Args:
        job: Limits and candidate, encoded. The tests are still in the pipe.
    """
    limits, source = decode(job, _no_object)
    # The candidate's alone: the tests must live to report that it ran out of it.
    cpu_seconds = limits.pop("RLIMIT_CPU")
    _set_limits(limits)
    # What tests print goes where the candidate's output goes.
    reports = os.dup(1)
    os.dup2(2, 1)
    requests, answers = os.pipe(), os.pipe()
    os.write(reports, READY)
    process = os.fork()
    if process == 0:
        resource.setrlimit(resource.RLIMIT_CPU, cpu_seconds)
        _become_candidate(requests[1], answers[0], reports)
        serve(source, requests[0], answers[1])
    os.close(requests[0])
    os.close(answers[1])
    word, given, tests, names = decode(receive(0), _no_object)
    candidate = Candidate(process, requests[1], answers[0])
    verdict, reason = _judge(candidate, given, tests, names)
    if verdict == "died" and candidate.is_out_of_time(cpu_seconds[0]):
        verdict, reason = "timed-out", "processor time"
    report = (word, verdict, reason, candidate.status)
    sys.stdout.flush()
    send(reports, encode(report, _number_of_remote))
    os._exit(0)


def _no_object(number: int, kind: str) -> Any:
    raise ValueError("no objects here")


def _set_limits(limits: dict[str, tuple[int, int]]) -> None:
    try:
        for name, soft_and_hard in limits.items():
            resource.setrlimit(getattr(resource, name), soft_and_hard)
        # From here on the candidate, whose uid is ours, can neither trace nor read us.
        # By the module below `ctypes`, which takes a fifth of a program's time to load.
        everything = _ctypes.dlopen(None, 0)  # type: ignore[arg-type]
        prctl = _ctypes.dlsym(everything, "prctl")
        if _ctypes.call_function(prctl, (_PR_SET_DUMPABLE, 0, 0, 0, 0)):
            raise OSError("prctl")
    except (OSError, ValueError) as error:
        print(f"can't set the limits: {error}", file=sys.stderr)  # noqa: T201
        os._exit(SET_UP_FAILED)


def _become_candidate(*ours: int) -> None:
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 0)
    os.dup2(2, 1)
    for descriptor in (nothing, *ours):
        os.close(descriptor)


def _judge(
    candidate: Candidate, given: str, tests: str, names: list[str]
) -> tuple[str, str]:
    defined: dict[str, Any] = {"__name__": "tests"}
    place = "the candidate, while it is loaded"
    try:
        candidate.ask("load")
        place = "the task"
        execute(given, "given", defined)
        for name in names:
            found = candidate.ask("name", name)
            if found is not Missing:
                defined[name] = found
        place = "the tests"
        execute(tests, "tests", defined)
    except BaseException as error:  # noqa: BLE001 - whatever it is, they did not pass
        return _failure(candidate, error, place)
    if candidate.gone:
        return _failure(candidate, CandidateGone(candidate.gone), place)
    return "passed", ""


def _failure(candidate: Candidate, error: BaseException, place: str) -> tuple[str, str]:
    if isinstance(error, CandidateGone):
        return "died", f"its process {error}"
    if isinstance(error, CantTravel):
        return "failed", f"the tests hand over a {error}, which can't travel"
    kind = type(error).__name__
    if isinstance(error, CandidateLeft):
        kind = str(error)
    reason = f"{kind} in {place}"
    if candidate.kinds:
        held = ", ".join(sorted(candidate.kinds))
        reason += f"; it gave what can't leave its process: {held}"
    if isinstance(error, MemoryError):
        return "out-of-memory", reason
    return "failed", reason
