"""Answers to prompts: which rows of which lanes work on them, and when they are done.

The host looks at answers every few tokens, takes those that have ended out of their
rows, and lets prompts that wait in. What an answer is does not depend on it: a row sees
nothing of its neighbours, and all shapes follow from its own prompt.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from runtime.asked_weights import Asked
from runtime.fused import Parameters
from runtime.generation_layers import Cache
from runtime.generation_programs import Programs, PromptRows, RowState, split_key
from runtime.keys import key
from runtime.scoring import Prompt, Sampling, room_for_prompt
from runtime.scoring_shapes import (
    CHUNK_TOKENS,
    LANE_ROWS,
    prompts_of,
    slots_of,
    width_of,
)
from specs.errors import RunError

IsDone = Callable[[Sequence[int]], bool]


@dataclass
class _Answer:
    """An answer that grows."""

    prompt: tuple[int, ...]
    """What is seen of it."""
    max_tokens: int
    num_slots: int
    width: int
    key_2: NDArray[np.uint32]
    first: int
    """First position that generated tokens see."""
    tokens: list[int] = field(default_factory=list)

    @property
    def room(self) -> int:
        """Tokens that it may still grow by."""
        return self.max_tokens - len(self.tokens)


class Generation:
    """Generation on one layout; nothing is compiled before it is used."""

    def __init__(self, asked: Asked) -> None:
        """Compile nothing yet."""
        self.programs = Programs(asked)
        self._asked = asked

    def answers(
        self,
        params: Parameters,
        prompts: Sequence[Prompt],
        sampling: Sampling,
        is_done: IsDone,
    ) -> list[tuple[int, ...]]:
        """Answer prompts; see `runtime.scoring.GenerateFunction`.

        Args:
            params: From `Programs.hold`.
            prompts: With names that are unique.
            sampling: How tokens are chosen.
            is_done: Whether an answer has come to its end.
        """
        assert len({prompt.name for prompt in prompts}) == len(prompts)
        answers = [self._begin(prompt, sampling.seed) for prompt in prompts]
        for num_slots in sorted({answer.num_slots for answer in answers}):
            alike = [answer for answer in answers if answer.num_slots == num_slots]
            lanes = _Lanes(self.programs, params, sampling, is_done, num_slots, alike)
            lanes.work()
        return [tuple(answer.tokens) for answer in answers]

    def _begin(self, prompt: Prompt, seed: int) -> _Answer:
        length = self._asked.stage.sequence_length
        seen = prompt.tokens[-room_for_prompt(length, prompt.max_tokens) :]
        num_slots = slots_of(len(seen) + prompt.max_tokens, length)
        return _Answer(
            prompt=seen,
            max_tokens=prompt.max_tokens,
            num_slots=num_slots,
            width=width_of(len(seen), num_slots),
            key_2=split_key(key(seed, "generate", prompt.name)),
            first=self._first(seen),
        )

    def _first(self, prompt: Sequence[int]) -> int:
        """Return where the document that goes on has begun, if that matters."""
        if self._asked.plan.model.attention_mask != "document":
            return 0
        ends = [at for at, token in enumerate(prompt) if token == self._asked.eos_id]
        return ends[-1] + 1 if ends else 0


class _Lanes:
    """The rows of all lanes, at work on answers with caches of one size."""

    def __init__(
        self,
        programs: Programs,
        params: Parameters,
        sampling: Sampling,
        is_done: IsDone,
        num_slots: int,
        answers: Sequence[_Answer],
    ) -> None:
        self._programs = programs
        self._params = params
        self._sampling = sampling
        self._is_done = is_done
        self._eos_id = programs.asked.eos_id
        self._vocab_size = programs.asked.plan.model.vocab_size
        self._cache: Cache = programs.empty(num_slots)
        self._num_lanes = programs.asked.num_lanes
        self._rows: list[_Answer | None] = [None] * (self._num_lanes * LANE_ROWS)
        self._waiting: dict[int, deque[_Answer]] = {}
        for answer in answers:
            self._waiting.setdefault(answer.width, deque()).append(answer)

    def work(self) -> None:
        """Let all answers grow to their ends."""
        while self._waiting or any(self._rows):
            while self._is_time_to_read():
                self._read()
            if any(self._rows):
                self._go_on()

    def _is_time_to_read(self) -> bool:
        """Tell whether enough rows are free for as many prompts as are read at once."""
        if not self._waiting:
            return False
        if not any(self._rows):
            return True
        width = self._next_width()
        at_once = prompts_of(width)
        room = sum(
            min(at_once, len(self._free(lane))) for lane in range(self._num_lanes)
        )
        return room >= min(at_once * self._num_lanes, len(self._waiting[width]))

    def _next_width(self) -> int:
        """Return the width that most prompts wait with, the least of equal ones."""
        return min(self._waiting, key=lambda width: (-len(self._waiting[width]), width))

    def _free(self, lane: int) -> list[int]:
        """Return the rows of a lane, counted within it, that nobody has."""
        start = lane * LANE_ROWS
        return [row for row in range(LANE_ROWS) if self._rows[start + row] is None]

    def _read(self) -> None:
        width = self._next_width()
        per_lane = prompts_of(width)
        rows = _no_prompts(self._num_lanes * per_lane, width, self._eos_id)
        began: dict[int, tuple[int, _Answer]] = {}
        free = [self._free(lane) for lane in range(self._num_lanes)]
        # One for each lane in turn: so all devices have about as much to do.
        for turn in range(per_lane):
            for lane in range(self._num_lanes):
                if self._waiting[width] and turn < len(free[lane]):
                    answer, row = self._waiting[width].popleft(), free[lane][turn]
                    at = lane * per_lane + turn
                    rows.tokens[at, : len(answer.prompt)] = answer.prompt
                    rows.last[at] = len(answer.prompt) - 1
                    rows.row[at] = row
                    rows.keys[at] = answer.key_2
                    began[at] = (lane * LANE_ROWS + row, answer)
        if not self._waiting[width]:
            del self._waiting[width]
        tokens, self._cache = self._programs.read(
            self._params, self._cache, rows, self._sampling
        )
        first_tokens = np.asarray(tokens)
        for at, (row, answer) in began.items():
            self._rows[row] = answer
            self._grow(row, first_tokens[at : at + 1].tolist())

    def _go_on(self) -> None:
        active = {row: x for row, x in enumerate(self._rows) if x is not None}
        num_tokens = min(CHUNK_TOKENS, max(x.room for x in active.values()))
        state = _no_rows(len(self._rows), self._eos_id)
        for row, answer in active.items():
            state.token[row] = answer.tokens[-1]
            state.at[row] = len(answer.prompt) + len(answer.tokens) - 1
            state.first[row] = answer.first
            state.count[row] = len(answer.tokens)
            state.keys[row] = answer.key_2
        tokens, self._cache = self._programs.go_on(
            self._params, self._cache, state, self._sampling, num_tokens
        )
        tokens_NT = np.asarray(tokens)[:, :num_tokens]
        for row in active:
            self._grow(row, tokens_NT[row].tolist())

    def _grow(self, row: int, tokens: Sequence[int]) -> None:
        """Add tokens to the answer of a row, and free the row where it ends."""
        answer = self._rows[row]
        assert answer is not None
        for token in tokens[: answer.room]:
            if token >= self._vocab_size:
                raise RunError(
                    "logits are not finite numbers",
                    fix="lower the learning rate; the weights have diverged",
                )
            if token == self._eos_id:
                self._rows[row] = None
                return
            answer.tokens.append(token)
        if answer.room == 0 or self._is_done(answer.tokens):
            self._rows[row] = None


def _no_prompts(num_rows: int, width: int, eos_id: int) -> PromptRows:
    return PromptRows(
        tokens=np.full((num_rows, width), eos_id, np.int32),
        last=np.zeros(num_rows, np.int32),
        row=np.full(num_rows, LANE_ROWS, np.int32),
        keys=np.zeros((num_rows, 2), np.uint32),
    )


def _no_rows(num_rows: int, eos_id: int) -> RowState:
    return RowState(
        token=np.full(num_rows, eos_id, np.int32),
        at=np.zeros(num_rows, np.int32),
        first=np.zeros(num_rows, np.int32),
        count=np.zeros(num_rows, np.int32),
        keys=np.zeros((num_rows, 2), np.uint32),
    )
