"""The peers of `evals.py`: the same questions and prompts, put to the same weights.

Run as a program this is one peer: `python -m bench.evals_peers PEER SIZE [FILE]`. It
tells when it has answered once, and then how long it takes, see `bench.turns`.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from hashlib import sha256
from typing import Any

import numpy as np

from bench.evals_work import MAX_TOKENS, Work, build_work, eos_of
from bench.step_peers import build_plan
from bench.step_sizes import SIZES, Size
from bench.turns import tell

BATCH = 32
"""Rows that `lm-eval` asks at once, as many as a lane of ours generates."""

Answer = Callable[[], tuple[int, str]]
"""Does all the work; returns what it came to, in units, and what was said in brief."""


def codemix_model(size: Size) -> Any:
    """Load the model as `codemix run` scores it: exact, one device per core."""
    from runtime import devices

    devices.configure("exact", devices.default_devices())

    from runtime.mesh import build_mesh
    from runtime.scored_model import AskedModel, ModelPrograms
    from runtime.state import build_layout, initial_state

    plan = build_plan(size, "exact")
    stage = plan.stages[0]
    layout = build_layout(plan, stage, build_mesh(plan))
    programs = ModelPrograms(plan, stage, layout, eos_of(size))
    return AskedModel(programs, initial_state(plan, layout).weights)


def torch_model(size: Size) -> Any:
    """Load the same weights as `transformers` does what `codemix export` writes."""
    import torch
    from transformers import CohereConfig, CohereForCausalLM

    from runtime.export import cohere_config, cohere_tensors
    from runtime.initialise import initial_tensors

    plan = build_plan(size, "exact")
    weights = {k: np.asarray(x) for k, x in initial_tensors(plan.model, plan.seed)}
    config = cohere_config(
        plan.model, max_length=size.sequence_length, eos_id=eos_of(size)
    )
    config = {**config, "pad_token_id": eos_of(size)}
    model = CohereForCausalLM(CohereConfig(**config)).eval()
    tensors = {
        name: torch.from_numpy(np.array(x))
        for name, x in cohere_tensors(plan.model, weights)
    }
    unknown = model.load_state_dict(tensors, strict=False)
    assert not unknown.unexpected_keys
    assert unknown.missing_keys in ([], ["lm_head.weight"]), unknown.missing_keys
    model.tie_weights()
    return model


def codemix_choices(size: Size, work: Work) -> Answer:
    """Score continuations as evaluations do."""
    from evals.scoring import log_likelihoods
    from runtime.scoring import Continuation

    model = codemix_model(size)
    requests = [Continuation(context=c, tokens=t) for c, t in work.continuations]

    def answer() -> tuple[int, str]:
        found = log_likelihoods(requests, model)
        return work.num_questions, f"{sum(one.nats for one in found):.2f}"

    return answer


def codemix_answers(size: Size, work: Work) -> Answer:
    """Generate as evaluations do."""
    from runtime.scoring import GREEDY, Prompt

    model = codemix_model(size)
    prompts = [
        Prompt(name=str(n), tokens=tokens, max_tokens=MAX_TOKENS)
        for n, tokens in enumerate(work.prompts)
    ]

    def answer() -> tuple[int, str]:
        found = model.generate(prompts, sampling=GREEDY, is_done=lambda _: False)
        return sum(map(len, found)), _brief(found)

    return answer


def lm_eval_choices(size: Size, work: Work) -> Answer:
    """Score continuations in the batches of lm-eval's `HFLM`.

    Longest first; what has one input is computed once; all logits of a batch exist.
    """
    import torch
    import torch.nn.functional as F

    model = torch_model(size)

    @torch.inference_mode()
    def answer() -> tuple[int, str]:
        by_input: dict[tuple[int, ...], list[tuple[int, ...]]] = {}
        for context, tokens in work.continuations:
            by_input.setdefault((*context, *tokens)[:-1], []).append(tokens)
        inputs = sorted(by_input, key=lambda x: (-len(x), x))
        total = 0.0
        for start in range(0, len(inputs), BATCH):
            rows = inputs[start : start + BATCH]
            padded = torch.zeros(len(rows), len(rows[0]), dtype=torch.long)
            for index, row in enumerate(rows):
                padded[index, : len(row)] = torch.tensor(row)
            scores = F.log_softmax(model(padded).logits, dim=-1)
            for index, row in enumerate(rows):
                for tokens in by_input[row]:
                    labels = torch.tensor(tokens)
                    part = scores[index, len(row) - len(tokens) : len(row)]
                    _ = bool((part.argmax(dim=-1) == labels).all())
                    total += float(part.gather(1, labels[:, None]).sum())
        return work.num_questions, f"{total:.2f}"

    return answer


def lm_eval_answers(size: Size, work: Work) -> Answer:
    """Generate in the batches of `HFLM`: longest first, padded on the left."""
    import torch

    model, eos = torch_model(size), eos_of(size)

    @torch.inference_mode()
    def answer() -> tuple[int, str]:
        order = sorted(range(len(work.prompts)), key=lambda n: -len(work.prompts[n]))
        found: dict[int, tuple[int, ...]] = {}
        for start in range(0, len(order), BATCH):
            rows = order[start : start + BATCH]
            width = len(work.prompts[rows[0]])
            padded = torch.full((len(rows), width), eos)
            mask = torch.zeros(len(rows), width, dtype=torch.long)
            for index, row in enumerate(rows):
                length = len(work.prompts[row])
                padded[index, width - length :] = torch.tensor(work.prompts[row])
                mask[index, width - length :] = 1
            made = model.generate(
                padded,
                attention_mask=mask,
                max_new_tokens=MAX_TOKENS,
                do_sample=False,
                use_cache=True,
            )
            for index, row in enumerate(rows):
                tokens = made[index, width:].tolist()
                stop = tokens.index(eos) if eos in tokens else len(tokens)
                found[row] = tuple(tokens[:stop])
        answers = [found[n] for n in range(len(order))]
        return sum(map(len, answers)), _brief(answers)

    return answer


PEERS: dict[str, Callable[[Size, Work], Answer]] = {
    "codemix choices": codemix_choices,
    "lm-eval choices": lm_eval_choices,
    "lm-eval-1 choices": lm_eval_choices,
    "codemix answers": codemix_answers,
    "lm-eval answers": lm_eval_answers,
    "lm-eval-1 answers": lm_eval_answers,
}


def serve(peer: str, size: Size, questions: str | None) -> None:
    """Answer everything as often as is asked."""
    started = time.perf_counter()
    answer = PEERS[peer](size, build_work(size, questions))
    _, said = answer()
    tell(start_seconds=time.perf_counter() - started, said=said)
    for line in sys.stdin:
        seconds, cpu_seconds, units = [], [], 0
        for _ in range(int(line)):
            wall, cpu = time.perf_counter(), time.process_time()
            units, _ = answer()
            seconds.append(time.perf_counter() - wall)
            cpu_seconds.append(time.process_time() - cpu)
        tell(seconds=seconds, cpu_seconds=cpu_seconds, units=units)


def _brief(answers: list[tuple[int, ...]]) -> str:
    return sha256(repr(answers).encode()).hexdigest()[:12]


if __name__ == "__main__":
    serve(sys.argv[1], SIZES[sys.argv[2]], sys.argv[3] if len(sys.argv) > 3 else None)
