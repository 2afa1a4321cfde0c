"""What continuations cost: by the programs that lanes of requests go through."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import pytest
from asked_models import EOS, LENGTH, Tiny, tiny

from runtime.loss import ranked_losses
from runtime.scoring import Continuation
from runtime.scoring_shapes import rows_of, scoring_shapes, width_of, widths
from runtime.spread import ALONE


@pytest.fixture(
    scope="module",
    params=["sequential", pytest.param("parallel", marks=pytest.mark.slow)],
)
def asked(request: pytest.FixtureRequest) -> Tiny:
    return tiny(request.param)


def request_of(context: int, tokens: int, seed: int = 0) -> Continuation:
    """Random tokens after EOS, with another EOS on the way."""
    drawn = np.random.default_rng([context, tokens, seed]).integers(
        6, 97, context + tokens
    )
    if context > 4:
        drawn[context // 2] = EOS
    whole = [EOS, *drawn.tolist()[1:]]
    return Continuation(context=tuple(whole[:context]), tokens=tuple(whole[context:]))


def test_losses_and_greedy_tokens_are_those_of_all_logits(asked: Tiny) -> None:
    requests = [request_of(20, 3), request_of(1, 30), request_of(50, 9)]
    found = asked.model.continuations(requests)
    for request, one in zip(requests, found, strict=True):
        whole = [*request.context, *request.tokens]
        logits = asked.logits(whole[:-1])[len(request.context) - 1 :]
        top = logits.max(axis=1, keepdims=True)
        log_sums = (top + np.log(np.exp(logits - top).sum(1, keepdims=True)))[:, 0]
        labels = np.array(request.tokens)
        expected = log_sums - logits[np.arange(len(labels)), labels]
        # The same formula in another order of sums, in float32.
        np.testing.assert_allclose(one.losses, expected, rtol=2e-5)
        assert one.is_greedy.tolist() == (logits.argmax(1) == labels).tolist()


def test_a_likeliest_continuation_is_told_as_such(asked: Tiny) -> None:
    context = request_of(20, 1).context
    tokens: list[int] = []
    for _ in range(3):
        tokens.append(int(asked.logits([*context, *tokens])[-1].argmax()))
    other = [*tokens[:-1], (tokens[-1] + 1) % 97]
    found = asked.model.continuations(
        [Continuation(context=context, tokens=tuple(x)) for x in (tokens, other)]
    )
    assert [one.is_greedy.tolist() for one in found] == [
        [True] * 3,
        [True, True, False],
    ]


def test_of_equal_tokens_the_first_is_the_likeliest() -> None:
    # Tokens 1 and 2 have the same logit, above those of 0 and 3.
    output_VD = jnp.array([[0.0], [2.0], [2.0], [1.0]], jnp.float32)
    hidden_TD = jnp.ones((4, 1), jnp.float32)
    labels_T = jnp.arange(4, dtype=jnp.int32)
    losses, is_likeliest = ranked_losses(hidden_TD, output_VD, labels_T, 4, ALONE)
    assert losses[1] == losses[2] < losses[3] < losses[0]
    assert is_likeliest.tolist() == [False, True, False, False]


def test_a_result_is_a_function_of_its_request_alone(asked: Tiny) -> None:
    requests = [
        request_of(context, 5, seed) for context in (9, 20) for seed in range(90)
    ]
    together = asked.model.continuations(requests)
    backwards = asked.model.continuations(requests[::-1])[::-1]
    alone = asked.model.continuations(requests[77:78])
    same = [
        a.losses.tobytes() == b.losses.tobytes()
        for a, b in zip(together, backwards, strict=True)
    ]
    assert all(same)
    assert alone[0].losses.tobytes() == together[77].losses.tobytes()
    assert len({one.losses.tobytes() for one in together}) == len(requests)


def test_who_only_scores_pays_for_no_generation(asked: Tiny) -> None:
    asked.model.continuations([request_of(9, 5)])
    assert asked.model._programs.generation.programs._compiled == {}


def test_a_context_too_long_is_cut_from_the_left(asked: Tiny) -> None:
    long = request_of(LENGTH + 40, 7)
    kept = long.context[-(LENGTH + 1 - 7) :]
    short = Continuation(context=kept, tokens=long.tokens)
    first, second = asked.model.continuations([long, short])
    assert first.losses.tobytes() == second.losses.tobytes()


def test_few_widths_hold_every_request_without_much_waste() -> None:
    found = widths(1000)
    assert found == (32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1000)
    assert [width_of(n, 1000) for n in (1, 32, 33, 999, 5000)] == [
        *(32, 32, 48, 1000, 1000)
    ]
    assert all(rows_of(width) % 4 == 0 for width in found)


def test_shapes_are_plain_json_of_the_length_alone() -> None:
    shapes = scoring_shapes(48)
    assert shapes["rows_by_width"] == {"32": 16, "48": 8}
    assert shapes["scored_by_width"] == {"32": [8, 32], "48": [12, 48]}
