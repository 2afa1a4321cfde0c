"""docs/spec.md, the reference of the spec language, made from its types.

python -m specs.reference --write
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from specs.atomic import write_atomically
from specs.matrix import MAX_EXPERIMENTS
from specs.model import PRESETS
from specs.schema import experiment_schema
from specs.yaml_reader import MAX_BYTES
from specs.yaml_values import MAX_DEPTH, MAX_VALUES

PATH = Path(__file__).parent.parent / "docs" / "spec.md"

_INTRODUCTION = f"""\
# The spec language, version 1

<!-- Made by `python -m specs.reference --write` from the types in specs/. -->

A spec is one YAML file that holds a whole experiment. It is data: it never names code
to import or run. `codemix validate FILE` checks it, `codemix plan FILE` says what it
comes to.

## The file

- YAML 1.2, UTF-8, one document, at most {MAX_BYTES:,} bytes, {MAX_VALUES:,} values and
  {MAX_DEPTH} levels. Scalars mean what the core schema of YAML 1.2 says, as in editors:
  `3e-4` is a number, `on` and `1_000` are words. Repeated keys, NaN, infinities,
  anchors, aliases, tags and merge keys are errors.
- Editors check a file while it is typed that begins with
  `# yaml-language-server: $schema=PATH/TO/experiment.v1.json`; `codemix schema` prints
  that JSON Schema. It says what JSON Schema can; `codemix validate` checks the rest.
- Counts may be written as `4096`, `10M` or `1.5B`: K, M, B, T are powers of 1000.
  Shares may be written as `0.1%` or `0.001`.
- Paths are relative to the workspace, the nearest folder above that holds `.dvc`, and
  stay inside it.
- Names of sources, mixtures and stages are lower-case letters, digits and underscores,
  beginning with a letter.

## `extends`: one spec built on another

`extends: base.yaml` names a file by its way from this one. Mappings are merged key by
key at every depth, and what this file says wins. Everything else is replaced, **lists
too**: a file that writes `stages` writes all of them. Two kinds of mappings are one
value and are replaced whole: every mixture, whose weights mean nothing without each
other, and `model` where the file names a `preset`. `null` takes away an inherited
source, mixture or `matrix`. `codemix`, `name`, `description` and `tags` are not
inherited. Inherited sources and mixtures that no stage uses are left out of the
resolved spec; one that the file itself writes and never uses is an error.

## `extends` an entry: an amendment

```yaml
extends: {{entry: 540ce97bc160, after: text}}
stages:
  - {{name: cooldown, tokens: 40B, ...}}
```

The file goes on from a run of the ledger: the run's resolved spec, cut after that
stage, stands in place of a parent file, and the file's own `stages` come **behind** the
stages that are kept. The rest is merged as usual, but what decides the bits of the kept
stages can't be changed: seed, model, tokenizer, optimizer, precision, batch,
`parallel.tensor`, determinism, the sources that they draw from (`max_epochs` may be
raised), the longest sequence length and the largest holdout. `entry` is the beginning
of a digest, four hex digits at least. Which run it is enters the resolved spec as
`amends`, and no digest. See [reuse.md](reuse.md).

## `matrix`: many experiments in one file

```yaml
matrix:
  seed: [1, 2]
  stages.0.mixture: [{{text: 100}}, {{text: 75, code: 25}}]
```

Each key is a dotted place in the spec, items of lists by their number from 0. Every
combination of values is an experiment, {MAX_EXPERIMENTS:,} at most, named after its
values, as `NAME-seed-1-mixture-text75-code25`. Commands that take one experiment refuse
such a file.

## The digest

Only the resolved spec is hashed: parents merged, defaults written out, keys sorted
(RFC 8785). `name`, `description`, `tags` and `amends` do not count, nor does whether
sizes were written out or came from a preset. So a changed default is a changed digest,
and a comment is not.
"""

_ORDER = (
    *("Model", "Precision", "AdamW", "Tokenizer", "TokenizerTraining", "Source", "Not"),
    "Subsets",
    *("Deduplication", "NearDuplicates", "KeptOutBenchmarks"),
    *("LengthFilter", "LineLengthFilter", "MeanLineLengthFilter", "AlphanumericFilter"),
    *("ContainsFilter", "FloatNumbersFilter", "DomainListFilter", "EncodedDataFilter"),
    *(
        "LicenceFilter",
        "TopValuesFilter",
        "CommitReader",
        "NotebookReader",
        "ThreadReader",
        "IssueReader",
    ),
    *(
        "Batch",
        "Parallel",
        "Stage",
        "Constant",
        "Cosine",
        "Linear",
        "WarmupStableDecay",
    ),
    *("Evaluation", "Checkpoints", "Stores", "Logging", "Amends"),
)
_ALWAYS_DEFAULTED = {"kv_heads": "`heads`", "lane": "see text"}
_BOUNDS = {
    "minimum": "from {}",
    "exclusiveMinimum": "above {}",
    "maximum": "to {}",
    "exclusiveMaximum": "below {}",
}
_LARGEST = 2**53 - 1


def reference_text() -> str:
    """Return the text of docs/spec.md."""
    defs = experiment_schema()["$defs"]
    whole = {name for name in defs if not name.startswith("Partial")}
    left_out = whole - {*_ORDER, "Experiment"}
    if left_out:
        raise RuntimeError(f"types without a place in the reference: {left_out}")
    parts = [_INTRODUCTION, section("Experiment", defs["Experiment"])]
    parts += [section(name, defs[name]) for name in _ORDER]
    return "\n".join(parts)


def main(arguments: list[str]) -> int:
    """Write the references, or say whether they are fresh."""
    from specs.study_reference import PATH as STUDY_PATH
    from specs.study_reference import study_reference_text

    texts = {PATH: reference_text(), STUDY_PATH: study_reference_text()}
    stale = 0
    for path, text in texts.items():
        if arguments == ["--write"]:
            write_atomically(path, text.encode())
        elif not path.exists() or path.read_text("utf-8") != text:
            sys.stderr.write(
                f"{path.name} is stale: python -m specs.reference --write\n"
            )
            stale = 1
    return stale


def section(name: str, schema: dict[str, Any]) -> str:
    """Return the part of a reference that has the keys of one type.

    Args:
        name: Its title.
        schema: JSON Schema of the type.
    """
    required = set(schema.get("required", ()))
    rows = ["| key | value | default | meaning |", "|---|---|---|---|"]
    for key, value in schema["properties"].items():
        default = _default(name, key, value, key in required)
        meaning = " ".join(value.get("description", "").split())
        example = value.get("examples", _inner_examples(value))
        if example:
            meaning += f" Example: `{_flow(example[0])}`."
        cells = (f"`{key}`", _type(value), default, meaning)
        rows.append(
            "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
        )
    text = f"## {name}\n\n{' '.join(schema['description'].split())}\n"
    if name == "Model":
        text += f"\n{_presets()}\n"
    return text + "\n" + "\n".join(rows) + "\n"


def _presets() -> str:
    listed = "; ".join(f"`{name}` is `{_flow(PRESETS[name])}`" for name in PRESETS)
    return f"Presets: {listed}. What the spec writes beside a preset wins."


def _default(model: str, key: str, value: dict[str, Any], required: bool) -> str:
    if required:
        return "**required**"
    if "default" in value:
        is_model = isinstance(value["default"], dict) and value["default"]
        return "its defaults" if is_model else f"`{_flow(value['default'])}`"
    if key in _ALWAYS_DEFAULTED:
        return _ALWAYS_DEFAULTED[key]
    return "**required** without a preset" if model == "Model" else ""


def _inner_examples(value: dict[str, Any]) -> list[Any]:
    """Return the examples of an optional value, which stand inside of the union."""
    return next(
        (one["examples"] for one in value.get("anyOf", ()) if "examples" in one), []
    )


def _type(schema: dict[str, Any]) -> str:
    """Say in words what a value may be."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    if "const" in schema:
        return f"`{_flow(schema['const'])}`"
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    for key in ("anyOf", "oneOf"):
        if key in schema:
            text = " or ".join(dict.fromkeys(_type(member) for member in schema[key]))
            return text.replace("whole number or number", "number")
    if schema["type"] == "array":
        return f"list of ({_type(schema['items'])})"
    if schema["type"] == "object":
        inner = schema.get("patternProperties") or {"": schema["additionalProperties"]}
        return f"name -> ({_type(next(iter(inner.values())))})"
    return _scalar_type(schema)


def _scalar_type(schema: dict[str, Any]) -> str:
    words = {
        "integer": "whole number",
        "number": "number",
        "string": "text",
        "boolean": "true or false",
        "null": "null",
    }[schema["type"]]
    if schema.get("pattern", "").endswith("[KMBT]?$"):
        return "count such as `10M`"
    if schema.get("pattern", "").endswith("%$"):
        return "share such as `0.1%`"
    bounds = [
        text.format(schema[key])
        for key, text in _BOUNDS.items()
        if key in schema and schema[key] != _LARGEST
    ]
    return " ".join([words, *bounds])


def _flow(value: Any) -> str:
    """Write a value as YAML in one line."""
    if isinstance(value, dict):
        inner = ", ".join(f"{key}: {_flow(one)}" for key, one in value.items())
        return f"{{{inner}}}"
    if isinstance(value, list):
        return f"[{', '.join(_flow(one) for one in value)}]"
    if isinstance(value, str):
        return value if value.replace("-", "").isidentifier() else json.dumps(value)
    return json.dumps(value)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
