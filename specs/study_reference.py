"""docs/study-spec.md, the reference of the language of studies, from its types.

python -m specs.reference --write
"""

from __future__ import annotations

import inspect
from pathlib import Path
from textwrap import dedent

from specs import claims
from specs.reference import section
from specs.schema import study_schema

PATH = Path(__file__).parent.parent / "docs" / "study-spec.md"

_INTRODUCTION = """\
# The language of studies, version 1

<!-- Made by `python -m specs.reference --write` from the types in specs/. -->

A study is a folder with a `study.yaml` beside its specs. The file is read as strictly
as a spec: see [spec.md](spec.md#the-file). `codemix validate FOLDER` checks it together
with the specs, `codemix schema study` prints its JSON Schema. What it is for is told in
[studies.md](studies.md).

A folder of specs without a `study.yaml` is a study too, and so is one spec, with a
`matrix` or without: its points are the ends of all stages, its scores what the specs'
`evals` ask for.
"""

_CLAIMS = """\
## The language of claims

A claim is one line of lower-case words, names, numbers and signs.

```
{grammar}
```

{meaning}

| claim | says |
|---|---|
| `a.code > b.code` | a's number is larger than b's at all |
| `a.nl > b.nl by >= 5% relative` | by a twentieth of b's value or more |
| `a.nl > b.nl by >= 2 points` | by two hundredths or more; nl is in percent |
| `a.loss < b.loss by >= 0.01` | loss is a plain number |
| `a.nl > b.nl > c.nl` | all of it, neighbour by neighbour |
| `mean(a.nl, b.nl) > 50` | the unweighted mean, beside a number in the score's unit |
| `a.nl =~ b.nl within 1 points` | they differ by one hundredth at most, either way |
| `best of {{p0, p25, p50}} in nl is p25` | p25 is the best of the three |

A claim is judged with the errors of its scores: it may stay undecided.
"""

_ORDER = (
    *("StudyScore", "Point", "ExpectedRow", "Claim", "Figure", "Axis"),
    *("Cost", "StatedCost", "Search", "Objective"),
)


def study_reference_text() -> str:
    """Return the text of docs/study-spec.md."""
    schema = study_schema()
    left_out = set(schema["$defs"]) - set(_ORDER)
    if left_out:
        raise RuntimeError(f"types without a place in the reference: {left_out}")
    doc = inspect.getdoc(claims) or ""
    _, grammar, meaning = doc.split("\n\n", 2)
    parts = [
        _INTRODUCTION,
        section("study.yaml", schema),
        *(section(name, schema["$defs"][name]) for name in _ORDER),
        _CLAIMS.format(grammar=dedent(grammar), meaning=meaning),
    ]
    return "\n".join(parts)
