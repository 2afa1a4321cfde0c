"""The peers of `train_step.py`: the same training step by several programs.

Run as a program this is one peer: `python -m bench.step_peers PEER SIZE`. It tells when
it has taken its first steps, and then how long the next ones take, see `bench.turns`.
"""

# B sequences, L sequence length

from __future__ import annotations

import os
import resource
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from bench.step_jax import build_jax
from bench.step_levanter import build_levanter
from bench.step_sizes import (
    BETAS,
    CLIP_NORM,
    LEARNING_RATE,
    SIZES,
    WEIGHT_DECAY,
    Size,
    Step,
    random_tokens,
)
from bench.turns import tell

if TYPE_CHECKING:
    from specs.plan import Plan

WARM_UP_STEPS = 2


def build_codemix(size: Size, *, determinism: str) -> tuple[Step, int]:
    """Build the step that `codemix run` takes, with all its records.

    One device per core in either mode: exact mode takes them by itself, and fast mode
    is faster with them than with one device that has all cores.
    """
    from runtime import devices

    devices.configure(determinism, devices.default_devices())

    from runtime.mesh import build_mesh
    from runtime.state import build_layout, initial_state
    from runtime.train_step import build_train_step, read_output

    plan = build_plan(size, determinism)
    stage = plan.stages[0]
    layout = build_layout(plan, stage, build_mesh(plan))
    state = initial_state(plan, layout)
    train_step = build_train_step(plan, stage, layout)
    tokens_BL = random_tokens(size)

    def step() -> float:
        nonlocal state
        tokens = train_step.place_tokens(tokens_BL)
        state, told = train_step(state, tokens, LEARNING_RATE)
        return read_output(told).loss

    return step, plan.num_parameters


def build_torch(size: Size, *, is_compiled: bool) -> tuple[Step, int]:
    """Build a step of transformers' Cohere model, of the same architecture as ours."""
    import torch
    from transformers import CohereConfig, CohereForCausalLM

    torch.manual_seed(0)
    fields: dict[str, Any] = {
        "hidden_size": size.width,
        "intermediate_size": size.ffn_width,
        "num_hidden_layers": size.layers,
        "num_attention_heads": size.heads,
        "num_key_value_heads": size.heads,
        "vocab_size": size.vocab_size,
        "max_position_embeddings": size.sequence_length,
        "logit_scale": 1.0,
        "use_cache": False,
        "attn_implementation": "sdpa",
        # Its defaults are ids outside of a vocabulary this small.
        "pad_token_id": 0,
        "bos_token_id": 1,
        "eos_token_id": 2,
    }
    model = CohereForCausalLM(CohereConfig(**fields)).train()
    forward = torch.compile(model) if is_compiled else model
    parameters = list(model.parameters())
    optimizer = torch.optim.AdamW(
        parameters, lr=LEARNING_RATE, betas=BETAS, weight_decay=WEIGHT_DECAY, fused=True
    )
    # It shifts the labels itself, so the last position of each sequence has none.
    tokens = torch.from_numpy(random_tokens(size)[:, :-1].astype(np.int64))

    def step() -> float:
        loss = forward(input_ids=tokens, labels=tokens).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, CLIP_NORM)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        return float(loss)

    return step, sum(parameter.numel() for parameter in parameters)


def _cores() -> int:
    return len(os.sched_getaffinity(0))


PEERS: dict[str, Callable[[Size], tuple[Step, int]]] = {
    "codemix": lambda size: build_codemix(size, determinism="exact"),
    "codemix-fast": lambda size: build_codemix(size, determinism="fast"),
    "torch-eager": lambda size: build_torch(size, is_compiled=False),
    "torch-compiled": lambda size: build_torch(size, is_compiled=True),
    "jax": lambda size: build_jax(size, num_devices=1),
    "jax-spread": lambda size: build_jax(size, num_devices=_cores()),
    "levanter": lambda size: build_levanter(size, num_devices=1),
    "levanter-spread": lambda size: build_levanter(size, num_devices=_cores()),
}
"""`spread`: over one host device per core, where one device would have them all."""


def serve(peer: str, size: Size) -> None:
    """Build a peer's step, and take as many steps as are asked for."""
    started = time.perf_counter()
    step, num_parameters = PEERS[peer](size)
    first_loss = step()
    for _ in range(WARM_UP_STEPS - 1):
        step()
    tell(
        num_parameters=num_parameters,
        first_loss=first_loss,
        start_seconds=time.perf_counter() - started,
    )
    for line in sys.stdin:
        seconds, cpu_seconds = [], []
        for _ in range(int(line)):
            wall, cpu = time.perf_counter(), time.process_time()
            loss = step()
            seconds.append(time.perf_counter() - wall)
            cpu_seconds.append(time.process_time() - cpu)
        kibibytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        tell(
            seconds=seconds,
            cpu_seconds=cpu_seconds,
            loss=loss,
            peak_mib=kibibytes / 1024,
        )


def build_plan(size: Size, determinism: str) -> Plan:
    """Plan one step of a size."""
    from specs.costs import parameter_count
    from specs.plan import (
        Plan,
        PlannedModel,
        PlannedOptimizer,
        PlannedRate,
        PlannedStage,
    )

    rate = str(LEARNING_RATE)
    model = PlannedModel(
        layers=size.layers,
        width=size.width,
        heads=size.heads,
        kv_heads=size.heads,
        ffn_width=size.ffn_width,
        vocab_size=size.vocab_size,
        block="parallel",
        norm="layernorm",
        norm_epsilon="1e-05",
        rope_theta="10000.0",
        attention_mask="causal",
        tied_embeddings=True,
        init="glorot_normal",
        compute="float32",
    )
    stage = PlannedStage(
        name="bench",
        start_step=0,
        stop_step=1,
        sequences_per_step=size.num_sequences,
        sequence_length=size.sequence_length,
        lane_sequences=size.lane_sequences,
        accumulation=1,
        remat="none",
        sequences={"random": size.num_sequences},
        start_tokens={"random": 0},
        learning_rate=PlannedRate(
            schedule="constant",
            warmup_steps=0,
            warmup_from="0.0",
            peak=rate,
            final=rate,
            decay_steps=0,
            decay="none",
        ),
        optimizer="reset",
    )
    return Plan(
        plan=1,
        spec_digest="0" * 64,
        seed=0,
        model=model,
        optimizer=PlannedOptimizer(
            kind="adamw",
            beta1="0.9",
            beta2="0.95",
            epsilon="1e-08",
            weight_decay="0.1",
            clip_norm="1.0",
        ),
        shuffle_unit=size.sequence_length,
        sources={},
        stages=(stage,),
        determinism=determinism,
        tensor=1,
        num_parameters=parameter_count(model),
    )


if __name__ == "__main__":
    serve(sys.argv[1], SIZES[sys.argv[2]])
