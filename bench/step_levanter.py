"""A training step of Levanter, by its own trainer; in an environment of its own.

Levanter pins other versions of optax and transformers than ours, so it can't be
imported beside codemix: `make setup-levanter` installs it in `.venv/levanter`. Its
jaxlib is the same. The model is its Llama: two norms in a block, one after the other,
where ours has one; all products are of the same sizes. Gradient checkpointing, on by
default, is off: it costs time, and here there is memory enough.
"""

# B sequences, L sequence length

from __future__ import annotations

import os
import tempfile

import numpy as np

from bench.step_sizes import (
    BETAS,
    CLIP_NORM,
    LEARNING_RATE,
    WEIGHT_DECAY,
    Size,
    Step,
    random_tokens,
)


def build_levanter(size: Size, *, num_devices: int) -> tuple[Step, int]:
    """Build the step on so many host devices."""
    count = f"--xla_force_host_platform_device_count={num_devices}"
    os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {count}"

    import haliax as hax
    import jax
    import jax.random as jrandom
    from levanter.models.llama import LlamaConfig
    from levanter.models.lm_model import LmExample
    from levanter.optim import AdamConfig
    from levanter.tracker import NoopConfig
    from levanter.trainer import Trainer, TrainerConfig

    config = TrainerConfig(
        tracker=NoopConfig(),
        train_batch_size=size.num_sequences,
        num_train_steps=1_000_000,
        require_accelerator=False,
        log_jaxprs=False,
        log_xla_hlo=False,
        log_dir=tempfile.mkdtemp(),
        load_checkpoint=False,
    )
    config.initialize()
    model = LlamaConfig(
        max_seq_len=size.sequence_length,
        hidden_dim=size.width,
        intermediate_dim=size.ffn_width,
        num_layers=size.layers,
        num_heads=size.heads,
        num_kv_heads=size.heads,
        tie_word_embeddings=True,
        gradient_checkpointing=False,
    )
    optimizer = AdamConfig(
        learning_rate=LEARNING_RATE,
        weight_decay=WEIGHT_DECAY,
        beta1=BETAS[0],
        beta2=BETAS[1],
        max_grad_norm=CLIP_NORM,
        lr_schedule="constant",
        warmup=0,
    ).build(config.num_train_steps)

    def loss(model, example, *, key=None):
        return model.compute_next_token_loss(example, key=key)

    trainer = Trainer(config, optimizer, loss)
    trainer.__enter__()
    vocabulary = hax.Axis("vocab", size.vocab_size)
    key = jrandom.PRNGKey(0)
    state = trainer.initial_state(
        key, model_init=lambda: model.build(vocabulary, key=key)
    )
    # Like torch's model it shifts the labels itself.
    tokens = random_tokens(size)[:, :-1]
    axes = (config.TrainBatch, model.max_Pos)
    batch = LmExample(
        tokens=hax.named(tokens, axes),
        loss_weight=hax.named(np.ones(tokens.shape, np.float32), axes),
    )
    batch = hax.shard(batch, trainer.compute_axis_mapping)

    def step() -> float:
        nonlocal state
        done = trainer.train_step(state, batch)
        state = done.state
        jax.block_until_ready(jax.tree.leaves(state.model))
        return float(done.loss)

    leaves = jax.tree.leaves(state.model)
    return step, sum(x.size for x in leaves if hasattr(x, "size"))
