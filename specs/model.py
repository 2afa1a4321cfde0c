"""The model part of a spec: a decoder-only Transformer, all of its numbers visible."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import ConfigDict, Field, model_validator

from specs.base import SpecValue
from specs.quantities import Whole
from specs.rules import Broken, raise_broken

PRESETS: dict[str, dict[str, Any]] = {
    # Two tiny layers: every feature of the path in seconds.
    "debug": {"layers": 2, "width": 32, "heads": 2, "ffn_width": 64},
    # 10.6M with a vocabulary of 16,384: a curve in minutes on a laptop.
    "tiny": {"layers": 8, "width": 256, "heads": 4, "ffn_width": 704},
    # 109.5M with a vocabulary of 32,000: the size of the first GPT.
    "small": {"layers": 12, "width": 768, "heads": 12, "ffn_width": 2048},
    # The study gives parameter counts only. These are the shapes that fit best what it
    # and its sibling say, with one tied table of 256,000 rows counted: 467.7M and
    # 2.79B. docs/models.md has the argument, and every unknown.
    "470m": {"layers": 16, "width": 1024, "heads": 16, "ffn_width": 2816},
    "2.8b": {"layers": 20, "width": 2560, "heads": 20, "ffn_width": 10496},
}
"""Preset name -> the fields that it fills in where the spec leaves them out."""

Preset = Literal["debug", "tiny", "small", "470m", "2.8b"]

_FILLED_BY_PRESET = ("layers", "width", "heads", "ffn_width")


def _sizes_or_preset(schema: dict[str, Any]) -> None:
    """Say in the JSON Schema what `_fill_in` does: sizes may come from a preset."""
    filled = {*_FILLED_BY_PRESET, "kv_heads"}
    schema["required"] = [key for key in schema["required"] if key not in filled]
    if not schema["required"]:
        del schema["required"]
    named = {"properties": {"preset": {"type": "string"}}, "required": ["preset"]}
    schema["anyOf"] = [{"required": list(_FILLED_BY_PRESET)}, named]


class Model(SpecValue):
    """A decoder-only Transformer; the defaults are the study's."""

    model_config = ConfigDict(json_schema_extra=_sizes_or_preset)

    preset: Preset | None = None
    """Name of a preset that fills in the sizes left out here."""

    layers: Whole
    """Transformer blocks."""

    width: Whole
    """Width of the residual stream."""

    heads: Whole
    """Query heads; each is `width / heads` wide, an even number."""

    kv_heads: Whole
    """Key and value heads; fewer than `heads` is grouped-query attention.
    Default: `heads`."""

    ffn_width: Whole
    """Width inside the SwiGLU feed-forward layer."""

    block: Literal["parallel", "sequential"] = "parallel"
    """`parallel`: attention and feed-forward read one normalised input and are added
    together. `sequential`: one after the other, each with its own norm."""

    norm: Literal["layernorm", "rmsnorm"] = "layernorm"
    """Normalisation, with a scale and without a bias."""

    norm_epsilon: Annotated[float, Field(gt=0)] = 1e-5
    """Added to the variance before the square root."""

    rope_theta: Annotated[float, Field(gt=0)] = 10000.0
    """Base of the rotary position embedding."""

    attention_mask: Literal["causal", "document"] = "causal"
    """`causal`: a token attends to all tokens before it in its sequence. `document`:
    only to those of its own document, which begins after an end-of-text token."""

    tied_embeddings: bool = True
    """Whether the output layer is the transposed embedding table."""

    init: Literal["glorot_normal"] = "glorot_normal"
    """Initial weights of every matrix; norm scales start at one."""

    @model_validator(mode="before")
    @classmethod
    def _fill_in(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        # A wrong preset or number of heads is reported by its own field. What is
        # filled in for it here only keeps the other fields from being reported too.
        preset = data.get("preset")
        if preset is not None:
            data = {**PRESETS.get(str(preset), PRESETS["debug"]), **data}
        heads = data.get("heads")
        is_count = type(heads) is int and heads > 0
        return {"kv_heads": heads if is_count else 1, **data}

    @model_validator(mode="after")
    def _heads_divide(self) -> Self:
        rules = []
        if self.width % (2 * self.heads):
            what = f"must be a multiple of 2 * heads = {2 * self.heads}, got "
            nearest = -(-self.width // (2 * self.heads)) * 2 * self.heads
            fix = f"set width to {nearest}, or change heads"
            rules.append(Broken(f"{what}{self.width}", fix, ("width",)))
        if self.heads % self.kv_heads:
            what = f"must divide heads = {self.heads}, got {self.kv_heads}"
            divisors = [n for n in range(1, self.heads + 1) if self.heads % n == 0]
            fix = f"use one of {', '.join(map(str, divisors[-8:]))}"
            rules.append(Broken(what, fix, ("kv_heads",)))
        raise_broken(rules)
        return self


class Precision(SpecValue):
    """Number formats; weights and optimizer state are always float32."""

    compute: Literal["float32", "bfloat16"] = "float32"
    """Format of activations and of matrix multiplication operands."""


class AdamW(SpecValue):
    """AdamW with decoupled weight decay (Loshchilov and Hutter, 2019)."""

    kind: Literal["adamw"] = "adamw"
    """The only optimizer of version 1."""

    beta1: Annotated[float, Field(ge=0, lt=1)] = 0.9
    """Decay of the first moment."""

    beta2: Annotated[float, Field(ge=0, lt=1)] = 0.95
    """Decay of the second moment."""

    epsilon: Annotated[float, Field(gt=0)] = 1e-8
    """Added to the root of the second moment."""

    weight_decay: Annotated[float, Field(ge=0)] = 0.1
    """Times the learning rate, on matrices only: norm scales are not decayed."""

    clip_norm: Annotated[float, Field(gt=0)] | None = 1.0
    """Global gradient norm above which gradients are scaled down; null: never."""
