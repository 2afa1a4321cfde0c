"""The version of codemix, for pyproject.toml and for whatever records it."""

VERSION = "0.1.0"
