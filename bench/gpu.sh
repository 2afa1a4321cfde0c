#!/usr/bin/env bash
# The paper's models on one GPU, beside transformers with flash attention and
# torch.compile, in one run. Prints Markdown for docs/benchmarks.md.
#
#     bash bench/gpu.sh             sets up what is missing, then measures; under an hour
#     bash bench/gpu.sh --try       a tiny model and no set-up: does everything work?
set -euo pipefail
cd "$(dirname "$0")/.."

PYTHON="${PYTHON:-.venv/bin/python}"
ARGUMENTS=("$@")

if [ "${1:-}" = "--try" ]; then
    ARGUMENTS=(--models tiny --lengths 64 --rounds 1 --steps 2)
else
    make setup-bench
    "$PYTHON" -m pip install --quiet --editable '.[cuda]'
fi

echo "date: $(date -u +%Y-%m-%d)"
if command -v nvidia-smi >/dev/null; then
    nvidia-smi --query-gpu=name,memory.total,driver_version --format=csv,noheader
fi
"$PYTHON" - <<'END'
from importlib.metadata import PackageNotFoundError, version

for name in ("jax", "jaxlib", "torch", "transformers", "flash-attn"):
    try:
        print(name, version(name))
    except PackageNotFoundError:
        print(name, "is not installed")
END
# Each start compiles, as nothing that another run left may count.
export JAX_ENABLE_COMPILATION_CACHE=false
"$PYTHON" bench/gpu.py "${ARGUMENTS[@]}"
