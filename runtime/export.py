"""A model of ours as a folder that Hugging Face `transformers` loads.

The default architecture is that of `CohereForCausalLM`: a parallel block, LayerNorm
without bias, rotary positions. Two things differ in the tensors: matrices there are
(output, input), and rotary pairs lie side by side where ours lie half a head apart.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from runtime.hf_tokenizer import tokenizer_files
from specs.atomic import sync_folder, write_atomically
from specs.errors import InputError, Problem
from specs.plan import PlannedModel

# D model width, H heads, K head width

Weights = Mapping[str, NDArray[np.float32]]

LAYER_TENSORS = {
    "block.norm": "input_layernorm",
    "block.attn.q": "self_attn.q_proj",
    "block.attn.k": "self_attn.k_proj",
    "block.attn.v": "self_attn.v_proj",
    "block.attn.o": "self_attn.o_proj",
    "block.ffn.gate": "mlp.gate_proj",
    "block.ffn.up": "mlp.up_proj",
    "block.ffn.down": "mlp.down_proj",
}
"""Our name -> name within a layer there; ours have a leading axis over layers."""

OTHER_TENSORS = {
    "embed": "model.embed_tokens.weight",
    "final_norm": "model.norm.weight",
    "output": "lm_head.weight",
}

ROTATED = ("block.attn.q", "block.attn.k")


def check_exportable(model: PlannedModel) -> None:
    """Refuse architectures that `CohereForCausalLM` does not know.

    Raises:
        InputError: With everything that it can't express.
    """
    wanted = {"block": "parallel", "norm": "layernorm"}
    problems = [
        Problem(
            path=f"model.{name}",
            what=f"must be {value} to export, got {getattr(model, name)}",
            fix="export a model of the default architecture",
        )
        for name, value in wanted.items()
        if getattr(model, name) != value
    ]
    if problems:
        raise InputError(problems)


def export_hf(
    model: PlannedModel,
    weights: Weights,
    *,
    tokenizer: Path,
    folder: Path,
    max_length: int,
    origin: Mapping[str, str],
) -> list[str]:
    """Write a folder for `transformers`.

    Args:
        model: The sizes.
        weights: Tensor name -> float32 array, as in `runtime.tensors`.
        tokenizer: The SentencePiece `.model` file.
        folder: Must not exist, or be empty; appears whole or not at all.
        max_length: The longest sequence that was trained on, in tokens.
        origin: What the weights are, such as the entry's digest; kept beside them.

    Returns:
        Names of the files, sorted.

    Raises:
        InputError: The architecture, the tokenizer or the folder won't do.
    """
    check_exportable(model)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        what = "is there already, and export overwrites nothing"
        raise InputError(what, file=str(folder), fix="name another folder")
    documents = tokenizer_files(tokenizer, max_length=max_length)
    eos_id = documents["tokenizer.json"]["model"]["vocab"][
        documents["tokenizer_config.json"]["eos_token"]
    ]
    config = cohere_config(model, max_length=max_length, eos_id=eos_id)
    documents["config.json"] = {**config, "codemix": dict(origin)}
    folder.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}."))
    try:
        _write(draft, documents, dict(cohere_tensors(model, weights)))
        shutil.copyfile(tokenizer, draft / "tokenizer.model")
        draft.chmod(0o755)
        os.replace(draft, folder)
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise
    sync_folder(folder.parent)
    return sorted(path.name for path in folder.iterdir())


def cohere_config(
    model: PlannedModel, *, max_length: int, eos_id: int
) -> dict[str, Any]:
    """Return the `config.json` of a model."""
    theta = float(model.rope_theta)
    return {
        "architectures": ["CohereForCausalLM"],
        "model_type": "cohere",
        "dtype": "float32",
        "vocab_size": model.vocab_size,
        "hidden_size": model.width,
        "intermediate_size": model.ffn_width,
        "num_hidden_layers": model.layers,
        "num_attention_heads": model.heads,
        "num_key_value_heads": model.kv_heads,
        "hidden_act": "silu",
        "max_position_embeddings": max_length,
        "layer_norm_eps": float(model.norm_epsilon),
        "rope_parameters": {"rope_type": "default", "rope_theta": theta},
        # For versions of transformers before 5.
        "rope_theta": theta,
        "tie_word_embeddings": model.tied_embeddings,
        "logit_scale": 1.0,
        "use_qk_norm": False,
        "attention_bias": False,
        "attention_dropout": 0.0,
        # A document follows the EOS of the one before, so EOS also begins a text.
        "bos_token_id": eos_id,
        "eos_token_id": eos_id,
        "pad_token_id": None,
    }


def cohere_tensors(
    model: PlannedModel, weights: Weights
) -> Iterator[tuple[str, NDArray[np.float32]]]:
    """Yield the name and value of each tensor there."""
    for name, tensor in weights.items():
        if name in OTHER_TENSORS:
            yield OTHER_TENSORS[name], tensor
            continue
        for layer in range(model.layers):
            values = tensor[layer]
            if name in ROTATED:
                values = _pairs_side_by_side(values, model.width // model.heads)
            place = f"model.layers.{layer}.{LAYER_TENSORS[name]}.weight"
            yield place, np.ascontiguousarray(values.T)


def _pairs_side_by_side(values: NDArray[np.float32], head: int) -> NDArray[np.float32]:
    """Reorder columns i and i + K/2 of each head to 2i and 2i + 1."""
    halves = values.reshape(len(values), -1, 2, head // 2)
    return halves.swapaxes(2, 3).reshape(values.shape)


def _write(
    folder: Path,
    documents: Mapping[str, Any],
    tensors: dict[str, NDArray[np.float32]],
) -> None:
    from safetensors.numpy import save_file

    for name, document in documents.items():
        # Not canonical JSON, which writes 1.0 as 1: transformers wants a float there.
        text = json.dumps(document, indent=1, sort_keys=True)
        write_atomically(folder / name, text.encode("ascii") + b"\n")
    # Without `format` transformers does not read the file. It stays alone: safetensors
    # writes several entries in an order that changes from run to run.
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})
