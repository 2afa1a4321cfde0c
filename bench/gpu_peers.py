"""The peers of `gpu.py`: training steps of the paper's models on one accelerator.

Run as a program this is one peer: `python -m bench.gpu_peers PEER MODEL LENGTH SAVING`.
SAVING is how much of the forward pass is computed again: none, attention or block for
ours, none or block for the others.
"""

# B sequences, L sequence length

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any, NamedTuple

import numpy as np

from bench.step_sizes import BETAS, CLIP_NORM, LEARNING_RATE, WEIGHT_DECAY, Step
from bench.turns import tell

TOKENS_PER_STEP = {"470m": 2**16, "2.8b": 2**14, "tiny": 2**9}
"""So many that a step is long, and so few that it fits 80 GB."""

WARM_UP_STEPS = 3


class Built(NamedTuple):
    """A peer that is ready."""

    step: Step
    peak_bytes: Callable[[], int]


def build_plan(model: str, length: int, remat: str, determinism: str) -> Any:
    """Plan the step: one lane, as one device gains nothing by more."""
    from specs.experiment import Experiment
    from specs.resolve import plan_experiment

    sequences = max(1, TOKENS_PER_STEP[model] // length)
    stage = {
        "name": "only",
        "tokens": 1000 * sequences * length,
        "mixture": {"text": 1},
        "learning_rate": {"schedule": "constant", "peak": LEARNING_RATE},
    }
    preset = "debug" if model == "tiny" else model
    vocab_size = 512 if model == "tiny" else 256_000
    spec = {
        "codemix": 1,
        "name": "gpu",
        "seed": 17,
        "model": {"preset": preset},
        "precision": {"compute": "bfloat16"},
        "tokenizer": {"vocab_size": vocab_size, "file": "unused.model"},
        "sources": {"text": {"uri": "text.txt"}},
        "batch": {
            "sequences": sequences,
            "length": length,
            "lane": sequences,
            "remat": remat,
        },
        "determinism": determinism,
        "stages": (stage,),
    }
    return plan_experiment(Experiment.model_validate(spec))


def build_codemix(model: str, length: int, saving: str, determinism: str) -> Built:
    """Build the step that `codemix run` takes."""
    from runtime import devices

    devices.configure(determinism, 1)

    import jax

    from runtime.mesh import build_mesh, choose_gather
    from runtime.state import build_layout, initial_state
    from runtime.train_step import build_train_step, read_output
    from specs.experiment import Parallel

    plan = build_plan(model, length, saving, determinism)
    stage = plan.stages[0]
    mesh = build_mesh(plan, wanted=1)
    layout = build_layout(
        plan, stage, mesh, gather=choose_gather(plan, Parallel(), mesh)
    )
    state = initial_state(plan, layout)
    train_step = build_train_step(plan, stage, layout)
    placed = train_step.place_tokens(_tokens(plan))

    def step() -> float:
        nonlocal state
        state, told = train_step(state, placed, LEARNING_RATE)
        return read_output(told).loss

    def peak_bytes() -> int:
        stats = jax.local_devices()[0].memory_stats() or {}
        return int(stats.get("peak_bytes_in_use", 0))

    return Built(step, peak_bytes)


def build_torch(model: str, length: int, saving: str, *, is_compiled: bool) -> Built:
    """Build a step of transformers' Cohere model with flash attention.

    Master weights and moments are float32, products bfloat16 (autocast), as ours.
    Attention is FlashAttention 2: by its own package where it is installed, else by the
    copy of it that torch has.
    """
    import importlib.util

    import torch
    from torch.nn.attention import SDPBackend, sdpa_kernel
    from transformers import CohereConfig, CohereForCausalLM

    is_cuda = torch.cuda.is_available()
    device = "cuda" if is_cuda else "cpu"
    has_package = is_cuda and importlib.util.find_spec("flash_attn") is not None
    torch.manual_seed(0)
    torch.set_float32_matmul_precision("high")
    plan = build_plan(model, length, "none", "exact")
    sizes = plan.model
    fields: dict[str, Any] = {
        "hidden_size": sizes.width,
        "intermediate_size": sizes.ffn_width,
        "num_hidden_layers": sizes.layers,
        "num_attention_heads": sizes.heads,
        "num_key_value_heads": sizes.kv_heads,
        "vocab_size": sizes.vocab_size,
        "max_position_embeddings": length,
        "logit_scale": 1.0,
        "use_cache": False,
        "attn_implementation": "flash_attention_2" if has_package else "sdpa",
        "pad_token_id": 0,
        "bos_token_id": 1,
        "eos_token_id": 2,
    }
    network = CohereForCausalLM(CohereConfig(**fields)).to(device).train()
    if saving != "none":
        network.gradient_checkpointing_enable({"use_reentrant": False})
    forward = torch.compile(network) if is_compiled else network
    parameters = list(network.parameters())
    optimizer = torch.optim.AdamW(
        parameters, lr=LEARNING_RATE, betas=BETAS, weight_decay=WEIGHT_DECAY, fused=True
    )
    tokens = torch.from_numpy(_tokens(plan)[:, :-1].astype(np.int64)).to(device)
    # On a CPU torch has no flash kernel to insist on.
    is_forced = is_cuda and not has_package

    def step() -> float:
        flash = sdpa_kernel(SDPBackend.FLASH_ATTENTION) if is_forced else nullcontext()
        with flash, torch.autocast(device, torch.bfloat16):
            loss = forward(input_ids=tokens, labels=tokens).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, CLIP_NORM)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        if is_cuda:
            torch.cuda.synchronize()
        return float(loss)

    def peak_bytes() -> int:
        return int(torch.cuda.max_memory_allocated()) if is_cuda else 0

    return Built(step, peak_bytes)


PEERS: dict[str, Callable[[str, int, str], Built]] = {
    "codemix": lambda *job: build_codemix(*job, "exact"),
    "codemix-fast": lambda *job: build_codemix(*job, "fast"),
    "torch-flash": lambda *job: build_torch(*job, is_compiled=False),
    "torch-compiled": lambda *job: build_torch(*job, is_compiled=True),
}

SAVINGS = {
    "codemix": ("none", "attention", "block"),
    "codemix-fast": ("none", "attention", "block"),
    "torch-flash": ("none", "block"),
    "torch-compiled": ("none", "block"),
}
"""What is tried in turn until a step fits: the least that is computed again first."""


def serve(peer: str, model: str, length: int, saving: str) -> None:
    """Build a peer's step, and take as many steps as are asked for."""
    started = time.perf_counter()
    built = PEERS[peer](model, length, saving)
    first_loss = built.step()
    for _ in range(WARM_UP_STEPS - 1):
        built.step()
    tell(first_loss=first_loss, start_seconds=time.perf_counter() - started)
    for line in sys.stdin:
        seconds = []
        for _ in range(int(line)):
            before = time.perf_counter()
            loss = built.step()
            seconds.append(time.perf_counter() - before)
        tell(seconds=seconds, loss=loss, peak_bytes=built.peak_bytes())


def _tokens(plan: Any) -> np.ndarray:
    stage = plan.stages[0]
    shape = (stage.sequences_per_step, stage.sequence_length + 1)
    rng = np.random.default_rng(0)
    return rng.integers(0, plan.model.vocab_size, shape, dtype=np.int32)


if __name__ == "__main__":
    serve(sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4])
