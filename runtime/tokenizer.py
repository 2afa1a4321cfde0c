"""SentencePiece tokenizers, without TensorFlow."""

from __future__ import annotations

from pathlib import Path

from runtime.hf_tokenizer import SPACE
from runtime.token_store import sha256_of
from specs.errors import InputError


class Tokenizer:
    """A SentencePiece model: text to tokens and back."""

    def __init__(self, path: Path):
        """Use `load_tokenizer`, which checks."""
        import sentencepiece

        self._model = sentencepiece.SentencePieceProcessor(model_file=str(path))

    @property
    def vocab_size(self) -> int:
        """Number of pieces."""
        return int(self._model.vocab_size())

    @property
    def eos_id(self) -> int:
        """The token that ends every document."""
        return int(self._model.eos_id())

    def encode(self, text: str) -> list[int]:
        """Split a text into tokens, without EOS."""
        return list(self._model.encode(text))

    def decode(self, tokens: list[int]) -> str:
        """Join tokens into a text; bytes that are not UTF-8 become U+FFFD."""
        return str(self._model.decode(tokens))

    def piece_bytes(self) -> list[bytes]:
        """Return what each token adds to a text, as UTF-8; nothing for control tokens.

        Joined they are the text, but for a space at its beginning that some models add.
        """
        return [self._bytes_of(token) for token in range(self.vocab_size)]

    def _bytes_of(self, token: int) -> bytes:
        piece = str(self._model.id_to_piece(token))
        if self._model.is_byte(token):
            return bytes([int(piece.removeprefix("<0x").removesuffix(">"), 16)])
        if self._model.is_control(token):
            return b""
        is_unknown = self._model.is_unknown(token)
        return b" " if is_unknown else piece.replace(SPACE, " ").encode()


def load_tokenizer(path: Path, name: str | None = None) -> Tokenizer:
    """Load a SentencePiece model.

    Args:
        path: The model.
        name: What messages call it; the file's name by default.

    Raises:
        InputError: There is none, it is damaged, or it has no EOS.
    """
    name = name or path.name
    if not path.is_file():
        raise InputError("there is no tokenizer", file=name, fix="codemix prepare")
    try:
        tokenizer = Tokenizer(path)
    except (RuntimeError, OSError):
        raise InputError(
            "is not a SentencePiece model",
            file=name,
            fix="name a `.model` file that SentencePiece wrote",
        ) from None
    if tokenizer.eos_id < 0:
        raise InputError(
            "the tokenizer has no EOS token, which ends every document",
            file=name,
            fix="use a tokenizer with an EOS token, or train one",
        )
    return tokenizer


def tokenizer_path(workspace: Path, sha256: str) -> Path:
    """Return where a tokenizer lies in the workspace."""
    return workspace / ".codemix" / "tokenizers" / f"{sha256}.model"


def find_tokenizer(workspace: Path, sha256: str) -> Path | None:
    """Return the path of a tokenizer that is there and has its bytes."""
    path = tokenizer_path(workspace, sha256)
    return path if path.is_file() and sha256_of(path) == sha256 else None
