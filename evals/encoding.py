"""From the texts of a request to tokens, as lm-evaluation-harness does it.

Every text follows an EOS, as every document did in training.
"""

from __future__ import annotations

from dataclasses import dataclass

from evals.scores import TextCodec
from specs.errors import InputError


@dataclass(frozen=True, kw_only=True)
class EncodedPair:
    """A context with its continuation, in tokens."""

    tokens: tuple[int, ...]
    """EOS, the context, the continuation."""
    num_scored: int
    """Tokens of the continuation, at the end; at least 1."""


def encode_pair(context: str, continuation: str, codec: TextCodec) -> EncodedPair:
    """Encode both as one text, and cut it where the context alone would end.

    Spaces at the end of the context count as part of the continuation. The rules are
    those of lm-eval's `TemplateLM`: where a token spans the border, the cut is after as
    many tokens as the context has alone, whatever they spell.

    Raises:
        InputError: No token is left for the continuation.
    """
    stripped = context.rstrip()
    whole = codec.encode(context + continuation)
    num_scored = len(whole) - len(codec.encode(stripped) if stripped else [])
    if num_scored < 1:
        raise InputError(
            f"the tokenizer leaves nothing of {continuation!r:.80} after its context",
            fix="take the question out, or train with a tokenizer of smaller pieces",
        )
    return EncodedPair(tokens=(codec.eos_id, *whole), num_scored=num_scored)


def encode_prompt(context: str, codec: TextCodec) -> tuple[int, ...]:
    """Encode what a model goes on from: EOS and the text."""
    return (codec.eos_id, *codec.encode(context))
