"""The model part of a spec: a decoder-only Transformer, all of its numbers visible."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from specs.base import Value

PRESETS: dict[str, dict[str, Any]] = {
    # Two tiny layers: every feature of the path in seconds.
    "debug": {"layers": 2, "width": 32, "heads": 2, "ffn_width": 64},
    # The study gives a parameter count only; this is the shape that fits it best when
    # one tied 256,000-row embedding table is counted (467.7M).
    "470m": {"layers": 16, "width": 1024, "heads": 16, "ffn_width": 2816},
}
"""Preset name -> the fields that it fills in where the spec leaves them out."""


class Model(Value):
    """A decoder-only Transformer; the defaults are the study's."""

    preset: str | None = None
    """Name of a preset that fills in the sizes left out here."""

    layers: Annotated[int, Field(gt=0)]
    """Transformer blocks."""

    width: Annotated[int, Field(gt=0)]
    """Width of the residual stream."""

    heads: Annotated[int, Field(gt=0)]
    """Query heads; each is `width / heads` wide, an even number."""

    kv_heads: Annotated[int, Field(gt=0)]
    """Key and value heads; fewer than `heads` is grouped-query attention.
    Default: `heads`."""

    ffn_width: Annotated[int, Field(gt=0)]
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

    tied_embeddings: bool = True
    """Whether the output layer is the transposed embedding table."""

    init: Literal["glorot_normal"] = "glorot_normal"
    """Initial weights of every matrix; norm scales start at one."""

    @model_validator(mode="before")
    @classmethod
    def _fill_from_preset(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        data = dict(data)
        preset = data.get("preset")
        if preset is not None:
            if preset not in PRESETS:
                raise ValueError(
                    f"unknown preset {preset!r}, known: {', '.join(sorted(PRESETS))}"
                )
            data = {**PRESETS[preset], **data}
        if "kv_heads" not in data and "heads" in data:
            data["kv_heads"] = data["heads"]
        return data

    @model_validator(mode="after")
    def _heads_divide(self) -> Self:
        if self.width % self.heads or (self.width // self.heads) % 2:
            raise ValueError(
                "width / heads must be an even whole number, "
                f"got {self.width} / {self.heads}"
            )
        if self.heads % self.kv_heads:
            raise ValueError(
                f"heads must be a multiple of kv_heads, got {self.heads} "
                f"and {self.kv_heads}"
            )
        return self


class Precision(Value):
    """Number formats; weights and optimizer state are always float32."""

    compute: Literal["float32", "bfloat16"] = "float32"
    """Format of activations and of matrix multiplication operands."""


class AdamW(Value):
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
