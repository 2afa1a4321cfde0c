"""Answers are what the plain forward pass says, and functions of their prompts."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from asked_models import EOS, LENGTH, Tiny, tiny

from runtime.asked_weights import here
from runtime.generation_choice import Draw, drawn, likeliest
from runtime.generation_layers import next_logits, prompt_logits
from runtime.scored_model import AskedModel
from runtime.scoring import GREEDY, Prompt, Sampling, room_for_prompt
from runtime.scoring_shapes import LANE_ROWS
from specs.errors import InputError, RunError

HOT = Sampling(seed=3, temperature=1.0, top_p=0.9)


@pytest.fixture(scope="module")
def small() -> Tiny:
    return tiny()


@pytest.fixture(
    params=["parallel", "sequential", pytest.param("shared", marks=pytest.mark.slow)]
)
def asked(request: pytest.FixtureRequest, small: Tiny) -> Tiny:
    return small if request.param == "parallel" else tiny(request.param)


def never(tokens: Sequence[int]) -> bool:
    return False


def prompt_of(name: str, num_tokens: int, max_tokens: int = 12) -> Prompt:
    """Random tokens after EOS, with another EOS on the way."""
    drawn = np.random.default_rng(num_tokens).integers(6, 96, num_tokens)
    if num_tokens > 4:
        drawn[num_tokens // 2] = EOS
    tokens = (EOS, *drawn.tolist()[1:])
    return Prompt(name=name, tokens=tokens, max_tokens=max_tokens)


def prompts(count: int) -> list[Prompt]:
    return [prompt_of(f"p{n}", 1 + n % 30, 3 + n % 20) for n in range(count)]


def test_greedy_answers_take_the_likeliest_token_of_a_pass_without_cache(
    asked: Tiny,
) -> None:
    some = [prompt_of("a", 7), prompt_of("b", 30), prompt_of("c", 1)]
    answers = asked.model.generate(some, sampling=GREEDY, is_done=never)
    for prompt, answer in zip(some, answers, strict=True):
        whole = [*prompt.tokens, *answer]
        likeliest = asked.logits(whole)[len(prompt.tokens) - 1 :].argmax(1).tolist()
        assert list(answer) == likeliest[:-1]
        assert len(answer) == prompt.max_tokens or likeliest[-1] == EOS


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["parallel", "sequential", "shared"])
def test_logits_with_a_cache_are_those_without(kind: str) -> None:
    asked = tiny(kind)
    programs = asked.model._programs.generation.programs
    params = here(asked.model._held_by_layer)
    program = programs.asked.program(32)
    tokens = np.array([prompt_of("a", 20).tokens, prompt_of("b", 20).tokens], np.int32)
    padded = np.pad(tokens[:, :12], ((0, 0), (0, 4)))
    read = jax.jit(partial(prompt_logits, program))
    go_on = jax.jit(partial(next_logits, program))
    found, kept = read(params, padded, np.array([11, 11], np.int32))
    cache = tuple(
        tuple(jnp.pad(x, ((0, 0), (0, 0), (0, 16), (0, 0))) for x in layer)
        for layer in kept
    )
    wanted = np.stack([asked.logits(row) for row in tokens.tolist()])
    # The same sums in another order; bfloat16 keeps 8 bits of what passes between.
    tolerance = 0.05 if kind == "shared" else 2e-5
    np.testing.assert_allclose(found, wanted[:, 11], atol=tolerance)
    first = programs.asked.plan.model.attention_mask == "document"
    first_B = np.full(2, 11 if first else 0, np.int32)  # EOS is at 10
    for at in range(12, 20):
        found, cache = go_on(
            params, cache, tokens[:, at], np.full(2, at, np.int32), first_B
        )
        np.testing.assert_allclose(found, wanted[:, at], atol=tolerance)


@pytest.mark.parametrize("sampling", [GREEDY, HOT])
def test_an_answer_is_a_function_of_its_prompt_alone(
    small: Tiny, sampling: Sampling
) -> None:
    some = prompts(LANE_ROWS + 20)
    together = small.model.generate(some, sampling=sampling, is_done=never)
    backwards = small.model.generate(some[::-1], sampling=sampling, is_done=never)
    assert backwards[::-1] == together
    alone = small.model.generate(some[37:38], sampling=sampling, is_done=never)
    assert alone == together[37:38]
    assert len(set(together)) > 30


def test_another_seed_or_name_draws_another_answer(small: Tiny) -> None:
    def answer(name: str, seed: int) -> tuple[int, ...]:
        sampling = Sampling(seed=seed, temperature=1.0)
        prompt = prompt_of(name, 9, 20)
        (found,) = small.model.generate([prompt], sampling=sampling, is_done=never)
        return found

    assert answer("a", 0) == answer("a", 0)
    assert len({answer("a", 0), answer("a", 1), answer("b", 0)}) == 3


def test_an_answer_ends_with_eos_which_is_not_part_of_it(small: Tiny) -> None:
    some = [prompt_of(f"{n}", 9, 50) for n in range(64)]
    sampling = Sampling(temperature=1.0)
    answers = small.model.generate(some, sampling=sampling, is_done=never)
    assert EOS not in {token for answer in answers for token in answer}
    # One token of 97 is EOS: some answers end early.
    assert len({len(answer) for answer in answers}) > 1


def test_answers_that_are_done_make_room_and_are_not_asked_again(small: Tiny) -> None:
    asked_of: list[int] = []

    def is_done(tokens: Sequence[int]) -> bool:
        asked_of.append(len(tokens))
        return len(tokens) >= 10

    some = [prompt_of(f"{n}", 9, 50) for n in range(LANE_ROWS * 3)]
    answers = small.model.generate(some, sampling=HOT, is_done=is_done)
    assert max(map(len, answers)) == 17
    assert max(asked_of) == 17


def test_no_answer_is_longer_than_asked(small: Tiny) -> None:
    some = [prompt_of(f"{n}", 5, n) for n in (1, 2, 8, 9, 10, 33)]
    answers = small.model.generate(some, sampling=GREEDY, is_done=never)
    assert [len(answer) for answer in answers] == [1, 2, 8, 9, 10, 33]


def test_of_a_prompt_too_long_the_end_is_seen(small: Tiny) -> None:
    long = prompt_of("a", LENGTH + 30, 20)
    room = room_for_prompt(LENGTH, 20)
    short = Prompt(name="a", tokens=long.tokens[-room:], max_tokens=20)
    first = small.model.generate([long], sampling=HOT, is_done=never)
    assert first == small.model.generate([short], sampling=HOT, is_done=never)


def test_an_answer_that_leaves_no_room_for_a_prompt_is_refused(small: Tiny) -> None:
    with pytest.raises(InputError, match="no room for a prompt"):
        small.model.generate(
            [prompt_of("a", 3, LENGTH)], sampling=GREEDY, is_done=never
        )


def test_weights_that_have_diverged_are_refused(small: Tiny) -> None:
    weights = small.model._weights
    broken = AskedModel(
        small.model._programs, {k: x * np.float32(np.nan) for k, x in weights.items()}
    )
    for sampling in (GREEDY, HOT):
        with pytest.raises(RunError, match="not finite"):
            broken.generate([prompt_of("a", 3)], sampling=sampling, is_done=never)


def test_of_equal_logits_the_first_is_taken() -> None:
    logits = jnp.array([[0.0, 2.0, 2.0], [1.0, -1.0, 0.0], [np.nan, 0.0, 0.0]])
    assert likeliest(logits).tolist() == [1, 0, 3]


draw_all = jax.jit(drawn)


def draws(logits: Sequence[float], temperature: float, top_p: float) -> np.ndarray:
    """Share of each token in 20,000 draws."""
    count = 20_000
    draw = Draw(
        keys_B2=jnp.tile(jnp.array([[1, 2]], jnp.uint32), (count, 1)),
        count_B=jnp.arange(count, dtype=jnp.int32),
        temperature=jnp.float32(temperature),
        top_p=jnp.float32(top_p),
    )
    rows = jnp.tile(jnp.array([logits], jnp.float32), (count, 1))
    return np.bincount(draw_all(rows, draw), minlength=len(logits)) / count


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
def test_tokens_are_drawn_with_their_probabilities(temperature: float) -> None:
    logits = np.array([2.0, 0.0, 1.0, -1.0])
    expected = np.exp(logits / temperature)
    expected /= expected.sum()
    # Five standard errors of a share of 20,000 draws, at most.
    atol = 5 * 0.5 / np.sqrt(20_000)
    np.testing.assert_allclose(
        draws(logits.tolist(), temperature, 1.0), expected, atol=atol
    )


def test_only_the_likeliest_share_is_drawn_from() -> None:
    logits = np.log([0.5, 0.3, 0.15, 0.05]).tolist()
    for top_p, kept in ((0.4, 1), (0.6, 2), (0.9, 3), (1.0, 4)):
        shares = draws(logits, 1.0, top_p)
        assert (shares > 0).tolist() == [n < kept for n in range(4)]
    atol = 5 * 0.5 / np.sqrt(20_000)
    np.testing.assert_allclose(draws(logits, 1.0, 0.6), [0.625, 0.375, 0, 0], atol=atol)
